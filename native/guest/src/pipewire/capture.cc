// SPDX-License-Identifier: Apache-2.0
#include "pipewire/capture.h"

#include <fcntl.h>
#include <spa/buffer/meta.h>
#include <spa/utils/result.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "drm/error.h"
#include "pipewire/picture_meta.h"
#include "pipewire/video_format.h"

namespace scanbridge::guest {
namespace {

// A buffer that was given back returns to the compositor with its next picture, one for each:
// PipeWire recycles in its cycles, and the compositor's pictures drive them. So it needs a buffer
// to draw into, and one more has to be on its way back by then; with less it may be left without
// any, and never start another cycle.
constexpr uint32_t kSourceNeeds = 2;
// So many unusable pictures in a row are a broken source and not a passing state.
constexpr uint32_t kBadLimit = 30;

uint64_t MonotonicNow() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

/// Bytes of a dma-buf or a file; 0 when they cannot be told.
uint64_t SizeOf(int fd, bool dmabuf) {
  if (dmabuf) {
    // A dma-buf answers to lseek; fstat tells 0 on older kernels.
    const off_t end = ::lseek(fd, 0, SEEK_END);
    ::lseek(fd, 0, SEEK_SET);
    return end > 0 ? static_cast<uint64_t>(end) : 0;
  }
  struct stat status;
  return ::fstat(fd, &status) == 0 && status.st_size > 0 ? static_cast<uint64_t>(status.st_size)
                                                         : 0;
}

bool HasTimeline([[maybe_unused]] const spa_buffer& buffer) {
#ifdef SCANBRIDGE_HAVE_SYNC_TIMELINE
  return buffer.n_datas >= 3 && buffer.datas[buffer.n_datas - 1].type == SPA_DATA_SyncObj &&
         buffer.datas[buffer.n_datas - 2].type == SPA_DATA_SyncObj &&
         spa_buffer_find_meta_data(&buffer, SPA_META_SyncTimeline,
                                   sizeof(spa_meta_sync_timeline)) != nullptr;
#else
  return false;
#endif
}

struct TimelinePoints {
  uint64_t acquire = 0;
  uint64_t release = 0;
};

TimelinePoints ReadTimeline([[maybe_unused]] const spa_buffer& buffer) {
#ifdef SCANBRIDGE_HAVE_SYNC_TIMELINE
  auto* meta = static_cast<spa_meta_sync_timeline*>(
      spa_buffer_find_meta_data(&buffer, SPA_META_SyncTimeline, sizeof(spa_meta_sync_timeline)));
  if (meta == nullptr) return {};
#ifdef SPA_META_SYNC_TIMELINE_UNSCHEDULED_RELEASE
  // The release point is signalled for every buffer that goes back, read or not.
  meta->flags &= ~static_cast<uint32_t>(SPA_META_SYNC_TIMELINE_UNSCHEDULED_RELEASE);
#endif
  return {meta->acquire_point, meta->release_point};
#else
  return {};
#endif
}

}  // namespace

/// A buffer of the pool; pw_buffer::user_data points to it.
struct Capture::Buffer {
  Capture* capture;
  pw_buffer* pw;
  /// What clients were told of its memory; made with its first picture, because only that tells the
  /// stride.
  std::shared_ptr<Surface> surface;
  uint64_t release_point = 0;
  bool held = false;
  /// What the host calls its memory.
  uint32_t resource = 0;
};

Capture::Capture(Loop& loop, Source& source, CaptureOptions options, Events events)
    : loop_(loop),
      source_(source),
      options_(std::move(options)),
      events_(std::move(events)),
      timeline_(options_.render_node),
      deadline_(loop, [this] { OnTimeout(); }) {
  missed_.AddAll();
  deadline_.Start(options_.connect_timeout);
  // Failures are events, and events come after the constructor.
  loop_.Post([this, alive = alive_] {
    if (*alive && !finished_) Connect();
  });
}

Capture::~Capture() {
  *alive_ = false;
  finished_ = true;
  source_.End(SB_SURFACE_ERROR_NONE, "The capture was closed.");
  TearDown();
}

void Capture::Close() {
  Finish(SB_SURFACE_ERROR_NONE, "The capture was closed.");
}

void Capture::Resize(uint32_t width, uint32_t height) {
  options_.offer.width = width;
  options_.offer.height = height;
  UpdateFormats();
}

void Capture::AvoidDmaBufs(std::string reason) {
  if (!avoided_.empty()) return;
  avoided_ = std::move(reason);
  options_.offer.shared_memory_only = true;
  if (events_.fallback) events_.fallback(avoided_);
  // If the source has nothing else, this ends like any other negotiation that leads nowhere.
  deadline_.Start(options_.connect_timeout);
  UpdateFormats();
}

void Capture::UpdateFormats() {
  if (stream_ == nullptr || finished_) return;
  ParamList formats = BuildFormats(options_.offer);
  pw_stream_update_params(stream_, formats.pods().data(),
                          static_cast<uint32_t>(formats.pods().size()));
}

void Capture::Connect() {
  if (options_.connection) {
    core_ = pw_context_connect_fd(loop_.context(), options_.connection.release(), nullptr, 0);
  } else {
    pw_properties* properties =
        options_.remote.empty()
            ? nullptr
            : pw_properties_new(PW_KEY_REMOTE_NAME, options_.remote.c_str(), nullptr);
    core_ = pw_context_connect(loop_.context(), properties, 0);
  }
  if (core_ == nullptr) {
    return Fail(CaptureErrorCode::kConnectFailed,
                "No PipeWire daemon answers at " + Place() + " (" + std::strerror(errno) +
                    "). Start pipewire in the desktop's session, or name its socket.");
  }
  static const pw_core_events kEvents = [] {
    pw_core_events e{};
    e.version = PW_VERSION_CORE_EVENTS;
    e.done = [](void* self, uint32_t id, int sequence) {
      static_cast<Capture*>(self)->OnCoreDone(id, sequence);
    };
    e.error = [](void* self, uint32_t id, int, int result, const char* message) {
      static_cast<Capture*>(self)->OnCoreError(id, result, message);
    };
    return e;
  }();
  pw_core_add_listener(core_, &core_hook_, &kEvents, this);
  try {
    watch_ = std::make_unique<NodeWatch>(
        core_, options_.node,
        NodeWatch::Events{
            [this] {
              Fail(CaptureErrorCode::kSourceLost,
                   "PipeWire node " + std::to_string(options_.node) +
                       " was removed: the compositor ended the cast or went away.");
            },
            [this](std::string reason) {
              Fail(CaptureErrorCode::kNoFormat,
                   "PipeWire could not link node " + std::to_string(options_.node) + ": " + reason +
                       ". It offers no format, modifier or memory that a capture takes.");
            }});
  } catch (const std::system_error& error) {
    return Fail(CaptureErrorCode::kNoMemory, error.what());
  }
  // When this is answered, the registry has named all nodes.
  sync_sequence_ = pw_core_sync(core_, PW_ID_CORE, 0);
}

void Capture::OnCoreDone(uint32_t id, int sequence) {
  if (id != PW_ID_CORE || sequence != sync_sequence_ || stream_ != nullptr || finished_) return;
  if (!watch_->found()) {
    return Fail(CaptureErrorCode::kNoSuchNode,
                "PipeWire at " + Place() + " has no node " + std::to_string(options_.node) +
                    ", or hides it from this process. `pw-cli ls Node` lists them.");
  }
  OpenStream();
}

void Capture::OnCoreError(uint32_t id, int result, const char* message) {
  if (id != PW_ID_CORE) return;
  Fail(CaptureErrorCode::kPipeWireLost,
       "The connection to PipeWire at " + Place() +
           " broke: " + (message != nullptr ? message : spa_strerror(result)) + ".");
}

void Capture::OpenStream() {
  pw_properties* properties = pw_properties_new(
      PW_KEY_MEDIA_TYPE, "Video", PW_KEY_MEDIA_CATEGORY, "Capture", PW_KEY_MEDIA_ROLE, "Screen",
      PW_KEY_NODE_NAME, "scanbridge",
      // When the source goes away, the session manager must not connect another one, a camera say.
      PW_KEY_NODE_DONT_RECONNECT, "true", nullptr);
  if (properties != nullptr && !watch_->serial().empty()) {
    pw_properties_set(properties, PW_KEY_TARGET_OBJECT, watch_->serial().c_str());
  }
  stream_ = pw_stream_new(core_, "scanbridge", properties);
  if (stream_ == nullptr) {
    return Fail(CaptureErrorCode::kNoMemory,
                std::string("PipeWire made no stream: ") + std::strerror(errno));
  }
  static const pw_stream_events kEvents = [] {
    pw_stream_events e{};
    e.version = PW_VERSION_STREAM_EVENTS;
    e.state_changed = [](void* self, pw_stream_state, pw_stream_state state, const char* error) {
      static_cast<Capture*>(self)->OnState(state, error);
    };
    e.param_changed = [](void* self, uint32_t id, const spa_pod* param) {
      if (id == SPA_PARAM_Format) static_cast<Capture*>(self)->OnFormat(param);
    };
    e.add_buffer = [](void* self, pw_buffer* buffer) {
      static_cast<Capture*>(self)->OnAddBuffer(buffer);
    };
    e.remove_buffer = [](void* self, pw_buffer* buffer) {
      static_cast<Capture*>(self)->OnRemoveBuffer(buffer);
    };
    e.process = [](void* self) { static_cast<Capture*>(self)->OnProcess(); };
    return e;
  }();
  pw_stream_add_listener(stream_, &stream_hook_, &kEvents, this);
  ParamList formats = BuildFormats(options_.offer);
  const int result =
      pw_stream_connect(stream_, PW_DIRECTION_INPUT, options_.node, PW_STREAM_FLAG_AUTOCONNECT,
                        formats.pods().data(), static_cast<uint32_t>(formats.pods().size()));
  if (result < 0) {
    Fail(CaptureErrorCode::kConnectFailed,
         std::string("PipeWire refused the stream: ") + spa_strerror(result));
  }
}

void Capture::OnState(pw_stream_state state, const char* error) {
  if (finished_) return;
  switch (state) {
    case PW_STREAM_STATE_ERROR: {
      const std::string text = error != nullptr ? error : "no reason given";
      if (text.find("target") != std::string::npos) {
        return Fail(CaptureErrorCode::kSourceLost,
                    "PipeWire node " + std::to_string(options_.node) + " is gone: " + text + ".");
      }
      return Fail(has_format_ ? CaptureErrorCode::kSourceLost : CaptureErrorCode::kNoFormat,
                  "PipeWire node " + std::to_string(options_.node) + ": " + text + ".");
    }
    case PW_STREAM_STATE_UNCONNECTED:
      if (!has_format_) {
        return Fail(CaptureErrorCode::kNoFormat,
                    "PipeWire's session manager could not link node " +
                        std::to_string(options_.node) +
                        ": it offers no format, modifier or memory that a capture takes.");
      }
      return Fail(CaptureErrorCode::kSourceLost,
                  "PipeWire node " + std::to_string(options_.node) + " disconnected the capture.");
    case PW_STREAM_STATE_CONNECTING:
      return;
    case PW_STREAM_STATE_PAUSED:
      watch_->SetConsumer(pw_stream_get_node_id(stream_));
      if (!has_format_) return;
      source_.SetState(SB_STREAM_STATE_WAITING);
      return SetState(CaptureState::kWaiting);
    case PW_STREAM_STATE_STREAMING:
      if (source_.newest()) source_.SetState(SB_STREAM_STATE_ACTIVE);
      return SetState(CaptureState::kActive);
  }
}

void Capture::OnFormat(const spa_pod* param) {
  if (finished_) return;
  has_format_ = false;
  // Nothing to do: the buffers are removed, and with that clients are told.
  if (param == nullptr) return;
  NegotiatedFormat format;
  if (!ParseFormat(param, format) || !FourccOf(format.raw.format) ||
      format.raw.size.width > SB_MAX_DIMENSION || format.raw.size.height > SB_MAX_DIMENSION ||
      format.raw.size.width == 0 || format.raw.size.height == 0) {
    return Fail(CaptureErrorCode::kNoFormat, "PipeWire node " + std::to_string(options_.node) +
                                                 " set a format that was not offered.");
  }
  if (format.unfixated) return;
  negotiated_ = format;
  has_format_ = true;
  ParamList params = BuildBufferParams(format, timeline_.usable());
  pw_stream_update_params(stream_, params.pods().data(),
                          static_cast<uint32_t>(params.pods().size()));
}

void Capture::OnAddBuffer(pw_buffer* pw) {
  auto buffer = std::make_unique<Buffer>();
  buffer->capture = this;
  buffer->pw = pw;
  pw->user_data = buffer.get();
  buffers_.push_back(std::move(buffer));
  pool_.buffers++;
  deadline_.Stop();
  if (finished_ || pw->buffer->n_datas == 0) return;
  const spa_data& data = pw->buffer->datas[0];
  buffers_.back()->resource = Resolve(data);
  if (events_.buffer) events_.buffer(buffers_.back()->resource, data.type == SPA_DATA_DmaBuf);
  CaptureFormat format;
  format.width = negotiated_.raw.size.width;
  format.height = negotiated_.raw.size.height;
  format.fourcc = FourccOf(negotiated_.raw.format).value_or(0);
  format.modifier = negotiated_.has_modifier ? negotiated_.raw.modifier : DRM_FORMAT_MOD_LINEAR;
  format.dmabuf = data.type == SPA_DATA_DmaBuf;
  format.explicit_sync = HasTimeline(*pw->buffer);
  AnnounceFormat(format);
}

uint32_t Capture::Resolve(const spa_data& data) {
  if (!options_.resolve || data.type != SPA_DATA_DmaBuf || data.fd < 0) return 0;
  try {
    return options_.resolve(static_cast<int>(data.fd));
  } catch (const DrmError& error) {
    // Not from within PipeWire's own handling of the buffers.
    loop_.Post([this, alive = alive_, reason = std::string(error.what())] {
      if (*alive && !finished_) AvoidDmaBufs(reason);
    });
    return 0;
  }
}

void Capture::OnRemoveBuffer(pw_buffer* pw) {
  auto* buffer = static_cast<Buffer*>(pw->user_data);
  if (buffer == nullptr) return;
  // All buffers of a negotiation go together.
  if (std::exchange(presented_, false)) source_.Reset(SB_RESET_REASON_RENEGOTIATED);
  if (buffer->held) pool_.held--;
  pool_.buffers--;
  pw->user_data = nullptr;
  std::erase_if(buffers_, [buffer](const auto& entry) { return entry.get() == buffer; });
  missed_.AddAll();
}

void Capture::OnProcess() {
  if (finished_) return;
  Buffer* newest = nullptr;
  sb_rect newest_crop{};
  while (pw_buffer* pw = pw_stream_dequeue_buffer(stream_)) {
    auto* buffer = static_cast<Buffer*>(pw->user_data);
    if (buffer == nullptr || !has_format_) {
      pw_stream_queue_buffer(stream_, pw);
      continue;
    }
    buffer->release_point = HasTimeline(*pw->buffer) ? ReadTimeline(*pw->buffer).release : 0;
    const auto crop = ReadMeta(*pw->buffer);
    Buffer* older = buffer;
    if (crop) {
      sequence_++;
      older = std::exchange(newest, buffer);
      newest_crop = *crop;
      if (older != nullptr) source_.NoteSkipped();
    }
    if (older != nullptr) Queue(*older, false);
  }
  if (newest != nullptr) Present(*newest, newest_crop);
}

std::optional<sb_rect> Capture::ReadMeta(const spa_buffer& buffer) {
  const auto crop = ReadCrop(buffer, negotiated_.raw.size.width, negotiated_.raw.size.height);
  if (!crop) {
    missed_.AddAll();
    NoteBad("its crop does not lie within the buffer");
    return std::nullopt;
  }
  if (ReadCursor(buffer, *crop, source_.cursor())) source_.CursorChanged();
  if (!HasPicture(buffer)) return std::nullopt;
  ReadDamage(buffer, *crop, missed_);
  return crop;
}

void Capture::Present(Buffer& buffer, const sb_rect& crop) {
  const spa_buffer& spa = *buffer.pw->buffer;
  // Its source is being asked for something else.
  if (options_.resolve && spa.datas[0].type == SPA_DATA_DmaBuf && buffer.resource == 0) {
    missed_.AddAll();
    return Queue(buffer, false);
  }
  if (!Describe(buffer)) {
    Queue(buffer, false);
    missed_.AddAll();
    return NoteBad("its buffers are smaller than the picture, or are no descriptors");
  }
  bad_in_a_row_ = 0;
  const TimelinePoints points = HasTimeline(spa) ? ReadTimeline(spa) : TimelinePoints{};
  Picture::Content content;
  content.surface = buffer.surface;
  content.sequence = sequence_;
  content.pts = ReadPts(spa, MonotonicNow());
  content.crop = crop;
  content.acquire_point = points.acquire;
  content.release_point = points.release;
  buffer.held = true;
  pool_.held++;
  presented_ = true;
  const Damage damage = missed_;
  missed_.Clear();
  source_.Present(std::make_shared<Picture>(
                      std::move(content),
                      [&buffer](bool was_read) { buffer.capture->TakeBack(buffer, was_read); }),
                  damage);
  KeepPoolAlive();
}

bool Capture::Describe(Buffer& buffer) {
  const spa_buffer& spa = *buffer.pw->buffer;
  const bool sync = HasTimeline(spa);
  const uint32_t planes = sync ? spa.n_datas - 2 : spa.n_datas;
  const bool dmabuf = spa.datas[0].type == SPA_DATA_DmaBuf;
  if (planes == 0 || planes > SB_MAX_PLANES) return false;
  sb_surface description{};
  description.kind = dmabuf ? SB_SURFACE_KIND_DMABUF : SB_SURFACE_KIND_MEMFD;
  description.width = negotiated_.raw.size.width;
  description.height = negotiated_.raw.size.height;
  description.format = FourccOf(negotiated_.raw.format).value_or(0);
  description.flags = sync ? uint32_t{SB_SURFACE_FLAG_EXPLICIT_SYNC} : 0u;
  description.modifier =
      negotiated_.has_modifier ? negotiated_.raw.modifier : DRM_FORMAT_MOD_LINEAR;
  description.plane_count = planes;
  for (uint32_t i = 0; i < planes; i++) {
    const spa_data& data = spa.datas[i];
    const spa_chunk chunk = *data.chunk;
    if (data.type != spa.datas[0].type || data.fd < 0 || chunk.stride <= 0 ||
        (data.type != SPA_DATA_DmaBuf && data.type != SPA_DATA_MemFd)) {
      return false;
    }
    uint64_t limit = SizeOf(static_cast<int>(data.fd), dmabuf);
    if (!dmabuf) limit = std::min(limit, uint64_t{data.mapoffset} + data.maxsize);
    const uint64_t offset = uint64_t{data.mapoffset} + chunk.offset;
    const uint64_t rows = uint64_t{description.height} - 1;
    const uint64_t stride = static_cast<uint64_t>(chunk.stride);
    const uint64_t row = uint64_t{description.width} * kBytesPerPixel;
    if (offset >= limit || stride > SB_MAX_STRIDE) return false;
    // How a tiled layout lies in its memory only the GPU's driver knows.
    if (description.modifier == DRM_FORMAT_MOD_LINEAR &&
        (stride < row || stride * rows + row > limit - offset)) {
      return false;
    }
    description.planes[i] = {offset, limit - offset, static_cast<uint32_t>(stride), i};
  }
  if (buffer.surface) {
    description.surface = buffer.surface->description.surface;
    if (std::memcmp(&description, &buffer.surface->description, sizeof description) == 0) {
      return true;
    }
    source_.DropSurface(description.surface);
  }
  auto surface = std::make_shared<Surface>();
  description.surface = next_surface_++;
  surface->description = description;
  surface->resource = buffer.resource;
  for (uint32_t i = 0; i < spa.n_datas; i++) {
    const int fd = ::fcntl(static_cast<int>(spa.datas[i].fd), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return false;
    surface->fds.push_back(UniqueFd(fd));
  }
  buffer.surface = std::move(surface);
  return true;
}

void Capture::TakeBack(Buffer& buffer, bool was_read) {
  buffer.held = false;
  pool_.held--;
  Queue(buffer, was_read);
}

void Capture::Queue(Buffer& buffer, bool was_read) {
  if (buffer.release_point != 0 && !was_read) {
    const spa_buffer& spa = *buffer.pw->buffer;
    timeline_.Signal(static_cast<int>(spa.datas[spa.n_datas - 1].fd), buffer.release_point);
  }
  if (stream_ != nullptr) pw_stream_queue_buffer(stream_, buffer.pw);
}

void Capture::KeepPoolAlive() {
  while (pool_.held + kSourceNeeds > pool_.buffers && source_.ReclaimOldest()) {
  }
}

void Capture::NoteBad(const char* why) {
  pool_.bad++;
  if (++bad_in_a_row_ < kBadLimit) return;
  Fail(CaptureErrorCode::kBadBuffer, "The pictures of PipeWire node " +
                                         std::to_string(options_.node) + " cannot be used: " + why +
                                         ".");
}

void Capture::AnnounceFormat(const CaptureFormat& format) {
  if (format == announced_) return;
  announced_ = format;
  events_.format(format);
}

void Capture::SetState(CaptureState state) {
  if (state == state_) return;
  state_ = state;
  events_.state(state);
}

void Capture::OnTimeout() {
  const std::string node = "PipeWire node " + std::to_string(options_.node);
  const std::string time = std::to_string(options_.connect_timeout.count()) + " ms";
  if (stream_ == nullptr) {
    return Fail(CaptureErrorCode::kTimeout,
                "PipeWire at " + Place() + " did not answer within " + time + ".");
  }
  if (watch_->linked() && !has_format_) {
    return Fail(CaptureErrorCode::kNoFormat,
                node + " agreed to no format within " + time +
                    ". It offers no format, modifier or memory that a capture takes." +
                    (avoided_.empty() ? "" : " Its dma-bufs are of no use: " + avoided_));
  }
  if (!avoided_.empty()) {
    return Fail(CaptureErrorCode::kNoFormat,
                node + " offers dma-bufs only, which are of no use here: " + avoided_);
  }
  Fail(CaptureErrorCode::kTimeout,
       watch_->linked()
           ? node + " delivered no buffers within " + time + "."
           : node + " was not connected within " + time +
                 ". Either no session manager (wireplumber) runs beside PipeWire, or source and "
                 "capture share no format, which this version of PipeWire does not report.");
}

void Capture::Fail(CaptureErrorCode code, std::string message) {
  if (finished_) return;
  events_.error(CaptureError{code, message});
  Finish(SB_SURFACE_ERROR_SOURCE_FAILED, message);
}

void Capture::Finish(sb_surface_error code, const std::string& text) {
  if (std::exchange(finished_, true)) return;
  deadline_.Stop();
  source_.End(code, text);
  // This may be in the middle of a callback of what is destroyed.
  loop_.Post([this, alive = alive_] {
    if (!*alive) return;
    TearDown();
    events_.ended();
  });
}

void Capture::TearDown() {
  deadline_.Stop();
  watch_.reset();
  if (stream_ != nullptr) {
    pw_stream_destroy(std::exchange(stream_, nullptr));
    buffers_.clear();
    pool_ = PoolCounters{0, 0, pool_.bad};
  }
  if (core_ != nullptr) {
    spa_hook_remove(&core_hook_);
    pw_core_disconnect(std::exchange(core_, nullptr));
  }
  options_.connection.reset();
}

std::string Capture::Place() const {
  if (options_.remote.empty()) return "the default socket";
  return options_.remote;
}

}  // namespace scanbridge::guest
