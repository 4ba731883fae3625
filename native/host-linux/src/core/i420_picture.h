// SPDX-License-Identifier: Apache-2.0
// Pictures in the form that encoders read.
#ifndef SCANBRIDGE_HOST_CORE_I420_PICTURE_H_
#define SCANBRIDGE_HOST_CORE_I420_PICTURE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/pixels.h"
#include "core/tile_set.h"

namespace scanbridge::host {

/// Planar 4:2:0, 8 bits, BT.601, limited range. Sizes are rounded up to even and to kMinSize, and
/// what is too much at the right and the bottom repeats the edge.
class I420Picture {
 public:
  /// The smallest picture that every encoder takes.
  static constexpr uint32_t kMinSize = 16;
  static constexpr uint32_t CodedSize(uint32_t visible) {
    return visible < kMinSize ? kMinSize : (visible + 1) & ~1u;
  }

  I420Picture(uint32_t width, uint32_t height);

  uint32_t coded_width() const { return coded_width_; }
  uint32_t coded_height() const { return coded_height_; }
  /// Y, U, V in one allocation of size() bytes.
  uint8_t* data() const { return data_.get(); }
  size_t size() const { return size_; }
  const std::array<size_t, 3>& offsets() const { return offsets_; }
  const std::array<int, 3>& strides() const { return strides_; }

  /// While a picture is lent, an encoder on another thread reads it, and its owner must not write
  /// it.
  void Lend() { lent_.store(true, std::memory_order_relaxed); }
  void Return() { lent_.store(false, std::memory_order_release); }
  bool lent() const { return lent_.load(std::memory_order_acquire); }

  /// Notes that tiles of the source are newer than this picture.
  void Outdate(const TileSet& tiles) { stale_.Add(tiles); }

  /// Converts what is out of date. `source` has the size that this picture was made for.
  void Refresh(const PixelView& source);

 private:
  void Convert(const PixelView& source, uint32_t x, uint32_t y, uint32_t width, uint32_t height);
  void PadRight(uint32_t y, uint32_t height);
  void PadBottom();
  uint8_t* Plane(size_t plane) const { return data_.get() + offsets_[plane]; }

  struct Free {
    void operator()(uint8_t* data) const;
  };

  const uint32_t width_;
  const uint32_t height_;
  const uint32_t coded_width_;
  const uint32_t coded_height_;
  std::array<int, 3> strides_;
  std::array<size_t, 3> offsets_;
  size_t size_;
  std::unique_ptr<uint8_t, Free> data_;
  TileSet stale_;
  std::atomic<bool> lent_ = false;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_I420_PICTURE_H_
