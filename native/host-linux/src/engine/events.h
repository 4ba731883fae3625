// SPDX-License-Identifier: Apache-2.0
// What an engine tells its owner.
#ifndef SCANBRIDGE_HOST_ENGINE_EVENTS_H_
#define SCANBRIDGE_HOST_ENGINE_EVENTS_H_

#include <scanbridge/surface.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/engine_error.h"

namespace scanbridge::host {

/// A complete binary message of the viewer protocol: struct sbv_video_header, then an access unit.
struct VideoEvent {
  struct Free {
    void operator()(uint8_t* data) const { std::free(data); }
  };
  std::unique_ptr<uint8_t, Free> message;
  size_t size = 0;
};

/// Describes the access units with its id; see VideoConfig in lib/engine.ts.
struct ConfigEvent {
  uint16_t id = 0;
  std::string codec;
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t coded_width = 0;
  uint32_t coded_height = 0;
  /// The matrix is BT.709's, and else BT.601's.
  bool bt709 = false;
};

enum class EngineState { kStarting, kLive, kBlank, kWaiting };

struct StateEvent {
  EngineState state = EngineState::kStarting;
  std::optional<sb_reset_reason> reset;
};

struct CursorShape {
  uint32_t hot_x = 0;
  uint32_t hot_y = 0;
  uint32_t width = 0;
  uint32_t height = 0;
  /// DRM AR24, premultiplied.
  std::vector<uint8_t> pixels;
};

struct CursorEvent {
  bool visible = false;
  int32_t x = 0;
  int32_t y = 0;
  std::optional<CursorShape> shape;
};

/// Of a CURSOR message and the pixels behind it.
inline CursorEvent MakeCursor(const sb_cursor& cursor, std::span<const uint8_t> pixels) {
  CursorEvent event{(cursor.flags & SB_CURSOR_FLAG_VISIBLE) != 0, cursor.x, cursor.y, std::nullopt};
  if ((cursor.flags & SB_CURSOR_FLAG_SHAPE) != 0) {
    event.shape = CursorShape{cursor.hot_x, cursor.hot_y, cursor.width, cursor.height,
                              std::vector<uint8_t>(pixels.begin(), pixels.end())};
  }
  return event;
}

/// A path that does not work, and why.
struct TriedPath {
  std::string engine;
  std::string path;
  std::string reason;
};

struct ChosenEvent {
  std::string engine;
  std::string path;
  const char* codec = "";
  bool hardware = false;
  std::vector<TriedPath> tried;
};

/// A path is about to start: if the process dies now, it was this one.
struct TryingEvent {
  std::string engine;
  std::string path;
};

/// A shown frame's pixels are not read any more; see ShownFrame.
struct ReleasedEvent {
  uint32_t token = 0;
};

/// A resource of the feed that has no stream: the exporter does not have it as it was described, or
/// the guest has freed it. Its frames are released unread.
struct RefusedEvent {
  uint32_t resource = 0;
  EngineError error;
};

/// The last event. No error: the stream ended in order.
struct EndEvent {
  std::optional<EngineError> error;
};

using EngineEvent = std::variant<VideoEvent, ConfigEvent, StateEvent, CursorEvent, ChosenEvent,
                                 TryingEvent, ReleasedEvent, RefusedEvent, EndEvent>;

/// Takes events; called on several threads, in order for each of them. Must not block.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void Push(EngineEvent event) = 0;
  /// False while the owner has not taken the access units that it has: then nothing is encoded.
  /// When it becomes true again, Engine::Wake is called.
  virtual bool WantsVideo() const = 0;
  /// True while the owner has not taken what it has: then the source is not read, and waits. When
  /// it becomes false again, Engine::Wake is called.
  virtual bool Full() const = 0;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_EVENTS_H_
