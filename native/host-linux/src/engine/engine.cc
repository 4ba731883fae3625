// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <utility>

#include "core/clock.h"
#include "engine/test_pattern.h"

namespace scanbridge::host {
namespace {

std::unique_ptr<FrameSource> MakeSource(const EngineOptions& options, ResourceFeed& feed,
                                        EventSink& sink) {
  if (const auto* const pattern = std::get_if<TestPatternTarget>(&options.source)) {
    return std::make_unique<TestPattern>(pattern->width, pattern->height, pattern->fps);
  }
  if (const auto* const resources = std::get_if<ResourceTarget>(&options.source)) {
    return std::make_unique<ResourceSource>(*resources, feed, sink);
  }
  return std::make_unique<SurfaceSource>(std::get<SurfaceTarget>(options.source));
}

EngineError Internal(std::string what) {
  return {"INTERNAL", "The engine failed: " + std::move(what) + ".",
          "Start the session again; if it comes back, report it."};
}

}  // namespace

Engine::Engine(EngineOptions options, EventSink& sink)
    : options_(std::move(options)),
      sink_(sink),
      bitrate_kbps_(options_.bitrate_kbps),
      rate_(options_.max_fps),
      plan_(SelectPaths(options_.engine, options_.codec, options_.mode), options_.gpu,
            options_.avoid),
      output_(sink) {
  thread_ = std::thread([this] { Run(); });
}

Engine::~Engine() {
  stop_ = true;
  waker_.Wake();
  thread_.join();
  // A driver that hangs keeps this waiting; the process is ended by whoever owns it then.
  graves_.clear();
}

void Engine::RequestKeyFrame() {
  key_wanted_ = true;
  waker_.Wake();
}

void Engine::SetBitrate(uint32_t kbps) {
  bitrate_kbps_ = kbps;
  waker_.Wake();
}

bool Engine::AddResource(const ResourceLayout& layout) {
  const bool added = feed_.Add(layout);
  waker_.Wake();
  return added;
}

void Engine::RemoveResource(uint32_t id) {
  feed_.Remove(id);
  waker_.Wake();
}

void Engine::ShowFrame(const ShownFrame& frame) {
  if (const auto replaced = feed_.Show(frame)) sink_.Push(ReleasedEvent{replaced->token});
  waker_.Wake();
}

EngineStats Engine::stats() const {
  EngineStats stats;
  {
    const std::lock_guard lock(stats_mutex_);
    stats = stats_;
    stats.convert = convert_.Get();
  }
  stats.bitrate_kbps = bitrate_kbps_;
  stats.video = output_.counters();
  return stats;
}

void Engine::Run() {
  (void)::pthread_setname_np(::pthread_self(), "engine");
  std::optional<EndEvent> end;
  try {
    end = Loop();
  } catch (const std::exception& error) {
    end = EndEvent{Internal(error.what())};
  }
  // The owner learns of it first: an encoder that hangs would keep its destructor waiting.
  if (end) sink_.Push(std::move(*end));
  encoder_.reset();
  source_.reset();
  surface_.reset();
}

std::optional<EndEvent> Engine::Loop() {
  sink_.Push(StateEvent{state_, std::nullopt});
  if (plan_.empty()) {
    return EndEvent{EngineError{"BAD_OPTION",
                                "There is no engine " + options_.engine + " for " +
                                    NameOf(options_.codec) + " with this mode.",
                                "Use auto, or what probe lists."}};
  }
  InitGStreamer();
  source_ = MakeSource(options_, feed_, sink_);
  if (auto error = source_->Open()) return EndEvent{std::move(error)};
  started_ = MonotonicNow();
  while (!stop_) {
    Wait();
    if (!sink_.Full()) {
      if (auto end = source_->Dispatch(*this)) return EndEvent{std::move(end->error)};
    }
    if (auto error = Step(MonotonicNow())) return EndEvent{std::move(error)};
  }
  return std::nullopt;
}

/// Sleeps until there is something to do.
void Engine::Wait() {
  const bool listen = !sink_.Full();
  pollfd polled[2] = {{waker_.fd(), POLLIN, 0}, {listen ? source_->fd() : -1, POLLIN, 0}};
  if (source_->wants_write()) polled[1].events |= POLLOUT;
  uint64_t wake_at = !listen                   ? FrameSource::kNever
                     : source_->has_buffered() ? 0
                                               : source_->wake_at();
  uint64_t oldest = 0;
  if (output_.in_flight(&oldest) > 0) {
    wake_at = std::min(wake_at, oldest + Limit());
  } else if (Ready()) {
    wake_at = std::min(wake_at, KeepaliveAt());
    if (source_->pending() != nullptr) wake_at = std::min(wake_at, rate_.next());
    if (HasPicture() && key_wanted_) wake_at = 0;
  }
  const uint64_t now = MonotonicNow();
  const uint64_t sleep = wake_at > now ? wake_at - now : 0;
  const timespec timeout{static_cast<time_t>(sleep / 1'000'000'000),
                         static_cast<long>(sleep % 1'000'000'000)};
  (void)::ppoll(polled, 2, wake_at == FrameSource::kNever ? nullptr : &timeout, nullptr);
  if ((polled[0].revents & POLLIN) != 0) waker_.Clear();
}

/// Whether a picture may be encoded now.
bool Engine::Ready() const {
  if (output_.in_flight() > 0 || borrowed_ || surface_lent_ || !sink_.WantsVideo()) return false;
  return !encoder_ || !shadow_ || FreePicture() != nullptr;
}

std::optional<EngineError> Engine::Step(uint64_t now) {
  std::optional<EngineError> failure;
  {
    const std::lock_guard lock(error_mutex_);
    failure = std::exchange(encoder_error_, std::nullopt);
  }
  if (failure) return HandleEncoderError(std::move(*failure));
  uint64_t oldest = 0;
  if (borrowed_ && !surface_lent_) {
    source_->Return();
    borrowed_ = false;
  }
  if (output_.in_flight(&oldest) > 0 && now >= oldest + Limit()) {
    return HandleEncoderError({"ENCODER_STALLED",
                               "The encoder has taken a picture and gave nothing back.",
                               "Start the session's worker again."});
  }
  if (const uint32_t kbps = bitrate_kbps_; encoder_ && kbps != applied_bitrate_) {
    encoder_->SetBitrate(kbps);
    applied_bitrate_ = kbps;
  }
  if (!Ready()) return std::nullopt;
  if (source_->pending() != nullptr && rate_.Allows(now)) return TakePicture(now);
  if (HasPicture() && (key_wanted_ || now >= KeepaliveAt())) return EncodeAgain(now);
  return std::nullopt;
}

std::optional<EngineError> Engine::TakePicture(uint64_t now) {
  const PendingFrame frame = *source_->pending();
  rate_.Take(now);
  const std::shared_ptr<const DmaBuf> dmabuf = source_->dmabuf();
  const Shape shape{frame.width, frame.height, frame.order, dmabuf ? dmabuf->format : 0,
                    dmabuf ? dmabuf->modifier : 0};
  const bool restart = !encoder_ || shape_ != shape || !HasPicture();
  if (restart) {
    if (path_ != nullptr && path_->hardware) Bury(std::move(encoder_));
    encoder_.reset();
    shape_ = shape;
    shadow_.reset();
    surface_.reset();
    path_ = plan_.Choose({dmabuf != nullptr, source_->unreadable()});
    if (path_ == nullptr) return plan_.Exhausted();
  }
  {
    const std::lock_guard lock(stats_mutex_);
    stats_.frames_in += frame.replaced + 1;
    stats_.dropped_before_encode += frame.replaced;
  }
  size_t changed = 1;
  if (path_->input == PathInput::kDmaBuf) {
    surface_ = dmabuf;
    source_->Borrow();
    borrowed_ = true;
  } else if (auto error = CopyPicture(frame, restart, changed)) {
    return error;
  }
  SetState(EngineState::kLive);
  if (restart) {
    if (auto error = StartEncoder()) return error;
  }
  if (changed == 0) return std::nullopt;
  return Encode(now, {.timestamp = 0,
                      .pts = frame.pts,
                      .arrival = frame.arrival,
                      .submitted = 0,
                      .keepalive = false});
}

/// Takes the pending picture into the shadow, and tells how many tiles were new.
std::optional<EngineError> Engine::CopyPicture(const PendingFrame& frame, bool restart,
                                               size_t& changed_count) {
  TileSet candidates = frame.candidates;
  if (restart) {
    shadow_.emplace(frame.width, frame.height, frame.order);
    for (auto& picture : pictures_) {
      picture = std::make_shared<I420Picture>(frame.width, frame.height);
    }
    candidates.AddAll();
  }
  TileSet changed;
  const bool whole = source_->Take(
      [&](const PixelView& pixels) { changed = shadow_->Update(pixels, candidates); });
  if (!whole) {
    return EngineError{"SURFACE_TRUNCATED",
                       "The producer of surfaces took the memory of a surface away.",
                       "This is a defect of the producer, or an attack; look at its log."};
  }
  for (auto& picture : pictures_) picture->Outdate(changed);
  changed_count = changed.count();
  const std::lock_guard lock(stats_mutex_);
  stats_.tiles_compared += candidates.count();
  stats_.tiles_changed += changed_count;
  stats_.copies +=
      static_cast<double>(changed_count) / (size_t{changed.rows()} * changed.columns());
  if (changed_count == 0) stats_.skipped_unchanged++;
  return std::nullopt;
}

/// A path that took dma-bufs has failed, and the next one takes pictures from system memory.
std::optional<EngineError> Engine::CopyLastPicture() {
  shadow_.emplace(shape_->width, shape_->height, shape_->order);
  for (auto& picture : pictures_) {
    picture = std::make_shared<I420Picture>(shape_->width, shape_->height);
  }
  TileSet all(shape_->width, shape_->height);
  all.AddAll();
  const bool whole =
      source_->ReadLast([&](const PixelView& pixels) { shadow_->Update(pixels, all); });
  surface_.reset();
  const std::lock_guard lock(stats_mutex_);
  stats_.tiles_compared += all.count();
  stats_.tiles_changed += all.count();
  stats_.copies += 1;
  if (whole) return std::nullopt;
  return EngineError{"SURFACE_TRUNCATED",
                     "The producer of surfaces took the memory of a surface away.",
                     "This is a defect of the producer, or an attack; look at its log."};
}

std::optional<EngineError> Engine::EncodeAgain(uint64_t now) {
  return Encode(now,
                {.timestamp = 0, .pts = now, .arrival = now, .submitted = 0, .keepalive = true});
}

/// Encodes what the shadow or the last surface holds. `started` is when the work on the picture
/// began.
std::optional<EngineError> Engine::Encode(uint64_t started, PictureFacts facts) {
  if (key_wanted_ && proven_ && path_->key_by_restart) {
    encoder_.reset();
    if (auto error = StartEncoder()) return error;
  }
  std::shared_ptr<I420Picture> picture;
  if (shadow_) {
    picture = FreePicture();
    if (!picture) return Internal("no picture is free");
    picture->Refresh(shadow_->view());
  }
  facts.submitted = MonotonicNow();
  facts.timestamp = std::max(facts.submitted - started_, last_timestamp_ + 1000);
  last_timestamp_ = facts.timestamp;
  last_submitted_ = facts.submitted;
  if (!facts.keepalive) {
    const std::lock_guard lock(stats_mutex_);
    convert_.Add((facts.submitted - started) / 1000);
  }
  output_.Expect(facts);
  const bool key = key_wanted_.exchange(false);
  if (picture) {
    encoder_->Submit(std::move(picture), facts.timestamp, key);
  } else {
    surface_lent_ = true;
    encoder_->Submit(surface_, facts.timestamp, key);
  }
  return std::nullopt;
}

uint64_t Engine::Limit() const {
  if (path_ == nullptr || !path_->hardware) return kSoftwareLimit;
  return shown_ || proven_ ? kHardwareLimit : kFirstStartLimit;
}

/// Starts the chosen path, or the next one that starts.
std::optional<EngineError> Engine::StartEncoder() {
  for (;;) {
    const bool direct = path_->input == PathInput::kDmaBuf;
    if (!direct && !shadow_) {
      if (auto error = CopyLastPicture()) return error;
    }
    const uint32_t width = direct ? shape_->width : pictures_[0]->coded_width();
    const uint32_t height = direct ? shape_->height : pictures_[0]->coded_height();
    output_.Start(*path_, shape_->width, shape_->height, width, height, options_.max_fps);
    applied_bitrate_ = bitrate_kbps_;
    shown_ = shown_ || proven_;
    proven_ = false;
    surface_lent_ = false;
    chosen_ = {path_->engine, path_->path, NameOf(path_->codec), path_->hardware, plan_.tried()};
    sink_.Push(TryingEvent{path_->engine, path_->path});
    auto created = CreateEncoder(*path_);
    std::optional<EngineError> error;
    if (auto* const encoder = std::get_if<std::unique_ptr<Encoder>>(&created)) {
      encoder_ = std::move(*encoder);
      error = encoder_->Adopt();
      if (!error) return std::nullopt;
      Bury(std::move(encoder_));
    } else {
      error = std::get<EngineError>(std::move(created));
    }
    plan_.Fail(*path_, *error);
    path_ = plan_.Choose({surface_ != nullptr, source_->unreadable()});
    if (path_ == nullptr) return plan_.Exhausted();
  }
}

/// Software starts at once. A GPU's driver that hangs must not hang this thread.
std::variant<std::unique_ptr<Encoder>, EngineError> Engine::CreateEncoder(const EnginePath& path) {
  const bool direct = path.input == PathInput::kDmaBuf;
  const EncoderInput input{direct ? shape_->width : pictures_[0]->coded_width(),
                           direct ? shape_->height : pictures_[0]->coded_height(), shape_->format,
                           shape_->modifier};
  const EncoderSettings settings{applied_bitrate_, options_.max_fps, options_.gpu};
  if (!path.hardware) return Encoder::Create(path, input, settings, *this);

  using Created = std::variant<std::unique_ptr<Encoder>, EngineError>;
  struct Start {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<Created> created;
    bool abandoned = false;
  };
  const auto start = std::make_shared<Start>();
  EncoderObserver& observer = *this;
  Grave thread([start, &path, input, settings, &observer](std::atomic<bool>& done) {
    Created created = Encoder::Create(path, input, settings, observer);
    {
      const std::lock_guard lock(start->mutex);
      if (!start->abandoned) {
        start->created = std::move(created);
        start->done.notify_all();
        return;
      }
    }
    // Nobody waits any more: the encoder ends here, on this thread.
    created = EngineError{};
    done = true;
  });
  std::unique_lock lock(start->mutex);
  const bool started = start->done.wait_for(lock, std::chrono::nanoseconds(Limit()),
                                            [&] { return start->created.has_value(); });
  start->abandoned = !started;
  lock.unlock();
  if (started) return std::move(*start->created);
  graves_.push_back(std::move(thread));
  return EngineError{
      "ENCODER_STALLED",
      "The driver did not start within " + std::to_string(Limit() / 1'000'000) + " ms.",
      "Look at the kernel's log for the GPU; restart the machine if it hangs."};
}

/// Ends an encoder whose driver may hang.
void Engine::Bury(std::unique_ptr<Encoder> encoder) {
  std::erase_if(graves_, [](const Grave& grave) { return grave.done(); });
  if (!encoder) return;
  encoder->Silence();
  graves_.emplace_back([dead = std::move(encoder)](std::atomic<bool>& done) mutable {
    dead.reset();
    done = true;
  });
}

/// The encoder failed: the next path takes over with the picture that is there, so that a viewer
/// sees at most a pause.
std::optional<EngineError> Engine::HandleEncoderError(EngineError error) {
  plan_.Fail(*path_, error);
  Bury(std::move(encoder_));
  {
    // What the dying encoder said as well.
    const std::lock_guard lock(error_mutex_);
    encoder_error_.reset();
  }
  if (borrowed_) {
    source_->Return();
    borrowed_ = false;
  }
  surface_lent_ = false;
  // A picture that a hung encoder holds is not written again.
  for (auto& picture : pictures_) {
    if (picture && picture->lent())
      picture = std::make_shared<I420Picture>(shape_->width, shape_->height);
  }
  path_ = plan_.Choose({surface_ != nullptr, source_->unreadable()});
  if (path_ == nullptr) return plan_.Exhausted();
  output_.Forget();
  if (!HasPicture()) return std::nullopt;
  if (auto last = StartEncoder()) return last;
  return EncodeAgain(MonotonicNow());
}

/// The one that was read last, when it is free: it needs the least conversion.
std::shared_ptr<I420Picture> Engine::FreePicture() const {
  for (const auto& picture : pictures_) {
    if (picture && !picture->lent()) return picture;
  }
  return nullptr;
}

uint64_t Engine::KeepaliveAt() const {
  if (options_.keepalive_ms == 0 || !HasPicture()) return FrameSource::kNever;
  return last_submitted_ + uint64_t{options_.keepalive_ms} * 1'000'000;
}

void Engine::ForgetPicture() {
  shadow_.reset();
  surface_.reset();
}

void Engine::SetState(EngineState state) {
  if (state_ == state) return;
  state_ = state;
  sink_.Push(StateEvent{state, std::nullopt});
}

void Engine::OnSourceState(EngineState state) {
  // A display that is off shows nothing, and so must a viewer that joins now.
  if (state == EngineState::kBlank) ForgetPicture();
  SetState(state);
}

void Engine::OnSourceReset(sb_reset_reason reason) {
  if (reason != SB_RESET_REASON_RENEGOTIATED) {
    ForgetPicture();
    state_ = EngineState::kWaiting;
  }
  sink_.Push(StateEvent{state_, reason});
}

void Engine::OnSourceCursor(CursorEvent cursor) {
  sink_.Push(std::move(cursor));
}

void Engine::OnAccessUnit(uint64_t timestamp, bool key, std::span<const uint8_t> bytes) {
  if (auto error = output_.Finish(timestamp, key, bytes)) {
    OnEncoderError(std::move(*error));
    return;
  }
  if (!proven_.exchange(true)) sink_.Push(chosen_);
  waker_.Wake();
}

void Engine::OnPictureCopied() {
  const std::lock_guard lock(stats_mutex_);
  stats_.copies += 1;
}

void Engine::OnPictureFree() {
  surface_lent_ = false;
  waker_.Wake();
}

void Engine::OnEncoderError(EngineError error) {
  {
    const std::lock_guard lock(error_mutex_);
    if (!encoder_error_) encoder_error_ = std::move(error);
  }
  waker_.Wake();
}

}  // namespace scanbridge::host
