// SPDX-License-Identifier: Apache-2.0
// Where an engine's pictures come from.
#ifndef SCANBRIDGE_HOST_ENGINE_FRAME_SOURCE_H_
#define SCANBRIDGE_HOST_ENGINE_FRAME_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/engine_error.h"
#include "core/pixels.h"
#include "core/tile_set.h"
#include "engine/events.h"
#include "surface/dmabuf.h"

namespace scanbridge::host {

/// A picture that waits to be taken.
struct PendingFrame {
  uint32_t width = 0;
  uint32_t height = 0;
  PixelOrder order = PixelOrder::kBgrx;
  /// Tiles that may have changed since the last picture that was taken; the size fits width and
  /// height.
  TileSet candidates;
  /// When it was made, and when it reached this process [ns].
  uint64_t pts = 0;
  uint64_t arrival = 0;
  /// Pictures that it replaced.
  uint64_t replaced = 0;
};

/// What a source tells the engine, during Dispatch.
class SourceObserver {
 public:
  virtual ~SourceObserver() = default;
  virtual void OnSourceState(EngineState state) = 0;
  /// The pictures so far mean nothing any more.
  virtual void OnSourceReset(sb_reset_reason reason) = 0;
  virtual void OnSourceCursor(CursorEvent cursor) = 0;
};

/// Used by one thread, which polls.
class FrameSource {
 public:
  static constexpr uint64_t kNever = UINT64_MAX;

  virtual ~FrameSource() = default;

  /// An error: there is no source.
  virtual std::optional<EngineError> Open() = 0;

  /// For poll; -1 without a descriptor.
  virtual int fd() const { return -1; }
  virtual bool wants_write() const { return false; }
  /// Dispatch again without polling.
  virtual bool has_buffered() const { return false; }
  /// Call Dispatch at this time, whether or not there is input [ns].
  virtual uint64_t wake_at() const { return kNever; }

  struct End {
    std::optional<EngineError> error;
  };
  /// Takes in what has happened. A value: the source is over.
  virtual std::optional<End> Dispatch(SourceObserver& observer) = 0;

  /// The one picture that waits, or nullptr. Stays until Take or the next Dispatch.
  virtual const PendingFrame* pending() const = 0;
  /// Calls `read` with the pixels of the pending picture and lets the source make the next one.
  /// False when the memory was taken away: what was read is worthless, and the source of no more
  /// use.
  virtual bool Take(const std::function<void(const PixelView&)>& read) = 0;

  /// The memory of the pending picture, if all of it is the picture and an encoder may read it
  /// itself.
  virtual std::shared_ptr<const DmaBuf> dmabuf() const { return nullptr; }
  /// Takes the pending picture without a look at it. The producer leaves its memory alone until
  /// Return.
  virtual void Borrow() {}
  virtual void Return() {}
  /// Calls `read` with what the memory of the picture that was borrowed last holds now.
  virtual bool ReadLast(const std::function<void(const PixelView&)>&) { return false; }
  /// Why Take cannot work for the pending picture; its only way is Borrow.
  virtual std::optional<EngineError> unreadable() const { return std::nullopt; }
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_FRAME_SOURCE_H_
