// SPDX-License-Identifier: Apache-2.0
// Pixels of a surface, mapped for reading.
#ifndef SCANBRIDGE_HOST_SURFACE_SURFACE_MEMORY_H_
#define SCANBRIDGE_HOST_SURFACE_SURFACE_MEMORY_H_

#include <scanbridge/surface.h>
#include <scanbridge/surface/message.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <variant>

#include "core/engine_error.h"
#include "core/pixels.h"
#include "surface/dmabuf.h"

namespace scanbridge::host {

/// A mapped surface: a memfd, or a linear dma-buf that can be mapped. One plane of packed 32-bit
/// pixels.
///
/// The producer is not trusted: the descriptor must be shared memory of the kernel (so that reading
/// never waits for a file system of the producer) or a dma-buf, at least as large as the plane
/// says, and the plane as large as its rows. That it may shrink later is SigbusGuard's part. Read
/// may be called by one thread at a time per thread.
class SurfaceMemory {
 public:
  /// What to do with a dma-buf that cannot be mapped or whose pixels are tiled.
  enum class Unmappable {
    kRefuse,
    /// It is for a GPU: dmabuf() has it, and Read tells why not.
    kAccept,
  };
  /// `message` passed sb_check_message; its descriptors are in `fds`.
  static std::variant<std::shared_ptr<SurfaceMemory>, EngineError> Map(
      const sb_surface& message, const surface::FdList& fds,
      Unmappable unmappable = Unmappable::kRefuse);

  SurfaceMemory(const SurfaceMemory&) = delete;
  SurfaceMemory& operator=(const SurfaceMemory&) = delete;
  ~SurfaceMemory();

  uint32_t width() const { return width_; }
  uint32_t height() const { return height_; }
  PixelOrder order() const { return order_; }

  /// For encoders that read it themselves; empty for shared memory.
  const std::shared_ptr<const DmaBuf>& dmabuf() const { return shared_; }
  /// Why Read can never work, where it cannot.
  const std::optional<EngineError>& unreadable() const { return unreadable_; }
  bool inverted() const { return inverted_; }

  /// Calls `read` with the pixels of a rectangle within the surface, upper row first, between the
  /// calls that a dma-buf needs. False when the producer has taken memory away: what was read is
  /// worthless.
  bool Read(const sb_rect& crop, const std::function<void(const PixelView&)>& read);

 private:
  SurfaceMemory() = default;

  std::shared_ptr<const DmaBuf> shared_;
  std::optional<EngineError> unreadable_;
  /// Reads are fenced by calls on shared_'s descriptor.
  bool dmabuf_ = false;
  void* base_ = nullptr;
  size_t mapped_ = 0;
  size_t first_ = 0;
  uint32_t stride_ = 0;
  uint32_t width_ = 0;
  uint32_t height_ = 0;
  bool inverted_ = false;
  PixelOrder order_ = PixelOrder::kBgrx;
  std::atomic<bool> lost_ = false;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_SURFACE_SURFACE_MEMORY_H_
