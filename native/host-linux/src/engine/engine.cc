// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
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

std::vector<const EnginePath*> PathsOf(const std::string& engine) {
  std::vector<const EnginePath*> paths;
  for (const EnginePath& path : EnginePaths()) {
    if (engine == "auto" || engine == path.engine) paths.push_back(&path);
  }
  return paths;
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
      paths_(PathsOf(options_.engine)),
      output_(sink) {
  thread_ = std::thread([this] { Run(); });
}

Engine::~Engine() {
  stop_ = true;
  waker_.Wake();
  thread_.join();
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
}

std::optional<EndEvent> Engine::Loop() {
  sink_.Push(StateEvent{state_, std::nullopt});
  if (paths_.empty()) {
    return EndEvent{EngineError{"BAD_OPTION", "There is no engine " + options_.engine + ".",
                                "Use auto, or an engine that probe lists."}};
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
    wake_at = std::min(wake_at, oldest + kStallLimit);
  } else if (Ready()) {
    wake_at = std::min(wake_at, KeepaliveAt());
    if (source_->pending() != nullptr) wake_at = std::min(wake_at, rate_.next());
    if (shadow_ && key_wanted_) wake_at = 0;
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
  return output_.in_flight() == 0 && sink_.WantsVideo() && (!encoder_ || FreePicture() != nullptr);
}

std::optional<EngineError> Engine::Step(uint64_t now) {
  std::optional<EngineError> failure;
  {
    const std::lock_guard lock(error_mutex_);
    failure = std::exchange(encoder_error_, std::nullopt);
  }
  if (failure) return HandleEncoderError(std::move(*failure));
  uint64_t oldest = 0;
  if (output_.in_flight(&oldest) > 0 && now >= oldest + kStallLimit) {
    return EngineError{"ENCODER_STALLED", "The encoder has taken a picture and gave nothing back.",
                       "Start the session's worker again."};
  }
  if (const uint32_t kbps = bitrate_kbps_; encoder_ && kbps != applied_bitrate_) {
    encoder_->SetBitrate(kbps);
    applied_bitrate_ = kbps;
  }
  if (!Ready()) return std::nullopt;
  if (source_->pending() != nullptr && rate_.Allows(now)) return TakePicture(now);
  if (shadow_ && (key_wanted_ || now >= KeepaliveAt())) return EncodeAgain(now);
  return std::nullopt;
}

std::optional<EngineError> Engine::TakePicture(uint64_t now) {
  const PendingFrame frame = *source_->pending();
  rate_.Take(now);
  bool restart = false;
  TileSet candidates = frame.candidates;
  if (!shadow_ || shadow_->width() != frame.width || shadow_->height() != frame.height ||
      shadow_->order() != frame.order) {
    shadow_.emplace(frame.width, frame.height, frame.order);
    for (auto& picture : pictures_) {
      picture = std::make_shared<I420Picture>(frame.width, frame.height);
    }
    candidates.AddAll();
    restart = true;
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
  const size_t changed_count = changed.count();
  {
    const std::lock_guard lock(stats_mutex_);
    stats_.frames_in += frame.replaced + 1;
    stats_.dropped_before_encode += frame.replaced;
    stats_.tiles_compared += candidates.count();
    stats_.tiles_changed += changed_count;
    if (changed_count == 0) stats_.skipped_unchanged++;
  }
  SetState(EngineState::kLive);
  if (restart) {
    encoder_.reset();
    if (auto error = StartEncoder()) return error;
  }
  if (changed_count == 0) return std::nullopt;
  return Encode(now, {.timestamp = 0,
                      .pts = frame.pts,
                      .arrival = frame.arrival,
                      .submitted = 0,
                      .keepalive = false});
}

std::optional<EngineError> Engine::EncodeAgain(uint64_t now) {
  return Encode(now,
                {.timestamp = 0, .pts = now, .arrival = now, .submitted = 0, .keepalive = true});
}

/// Encodes what the shadow holds. `started` is when the work on the picture began.
std::optional<EngineError> Engine::Encode(uint64_t started, PictureFacts facts) {
  std::shared_ptr<I420Picture> picture = FreePicture();
  if (!picture) return Internal("no picture is free");
  picture->Refresh(shadow_->view());
  facts.submitted = MonotonicNow();
  facts.timestamp = std::max(facts.submitted - started_, last_timestamp_ + 1000);
  last_timestamp_ = facts.timestamp;
  last_submitted_ = facts.submitted;
  if (!facts.keepalive) {
    const std::lock_guard lock(stats_mutex_);
    convert_.Add((facts.submitted - started) / 1000);
  }
  output_.Expect(facts);
  encoder_->Submit(std::move(picture), facts.timestamp, key_wanted_.exchange(false));
  return std::nullopt;
}

std::optional<EngineError> Engine::StartEncoder() {
  for (;;) {
    const I420Picture& picture = *pictures_[0];
    output_.Start(shadow_->width(), shadow_->height(), picture.coded_width(),
                  picture.coded_height());
    applied_bitrate_ = bitrate_kbps_;
    auto created = Encoder::Create(*paths_[path_], picture.coded_width(), picture.coded_height(),
                                   {applied_bitrate_, options_.max_fps}, *this);
    if (auto* const encoder = std::get_if<std::unique_ptr<Encoder>>(&created)) {
      encoder_ = std::move(*encoder);
      return std::nullopt;
    }
    if (auto error = TryNextPath(std::get<EngineError>(std::move(created)))) return error;
  }
}

/// The encoder failed after its start: before it has shown that it works, another path gets its
/// chance.
std::optional<EngineError> Engine::HandleEncoderError(EngineError error) {
  if (chosen_) return error;
  encoder_.reset();
  {
    // What the dying encoder said as well.
    const std::lock_guard lock(error_mutex_);
    encoder_error_.reset();
  }
  if (auto last = TryNextPath(std::move(error))) return last;
  if (!shadow_) return std::nullopt;
  if (auto last = StartEncoder()) return last;
  return EncodeAgain(MonotonicNow());
}

/// Notes why a path does not work. An error when there is no other.
std::optional<EngineError> Engine::TryNextPath(EngineError error) {
  const EnginePath& path = *paths_[path_];
  tried_.push_back({path.engine, path.path, error.message});
  if (chosen_) return error;
  if (++path_ < paths_.size()) return std::nullopt;
  if (tried_.size() == 1) return error;
  std::string message = "No engine works:";
  for (const TriedPath& tried : tried_) {
    message += " " + tried.engine + " (" + tried.path + "): " + tried.reason;
  }
  return EngineError{"NO_ENGINE", std::move(message),
                     "Install gstreamer1.0-plugins-ugly for x264, then run scanbridge probe."};
}

/// The one that was read last, when it is free: it needs the least conversion.
std::shared_ptr<I420Picture> Engine::FreePicture() const {
  for (const auto& picture : pictures_) {
    if (picture && !picture->lent()) return picture;
  }
  return nullptr;
}

uint64_t Engine::KeepaliveAt() const {
  if (options_.keepalive_ms == 0 || !shadow_) return FrameSource::kNever;
  return last_submitted_ + uint64_t{options_.keepalive_ms} * 1'000'000;
}

void Engine::SetState(EngineState state) {
  if (state_ == state) return;
  state_ = state;
  sink_.Push(StateEvent{state, std::nullopt});
}

void Engine::OnSourceState(EngineState state) {
  // A display that is off shows nothing, and so must a viewer that joins now.
  if (state == EngineState::kBlank) shadow_.reset();
  SetState(state);
}

void Engine::OnSourceReset(sb_reset_reason reason) {
  if (reason != SB_RESET_REASON_RENEGOTIATED) {
    shadow_.reset();
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
  if (!chosen_.exchange(true)) {
    const EnginePath& path = *paths_[path_];
    sink_.Push(ChosenEvent{path.engine, path.path, tried_});
  }
  waker_.Wake();
}

void Engine::OnPictureFree() {
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
