// SPDX-License-Identifier: Apache-2.0
// A private copy of the newest picture, and with it the true damage.
//
// Producers report an upper bound of what changed; QEMU reports the whole plane on each flip. The
// shadow is compared with the new picture tile by tile in one pass over the lines, and what differs
// is copied from the first line that differs on. So a frame that changed nothing is known as such,
// the surface can be released before anything is converted, and what is converted cannot change
// under the converter.
#ifndef SCANBRIDGE_HOST_CORE_SHADOW_H_
#define SCANBRIDGE_HOST_CORE_SHADOW_H_

#include <cstdint>
#include <vector>

#include "core/pixels.h"
#include "core/tile_set.h"

namespace scanbridge::host {

class Shadow {
 public:
  /// Black, and so different from any picture until the first Update: see `fresh`.
  Shadow(uint32_t width, uint32_t height, PixelOrder order);

  uint32_t width() const { return width_; }
  uint32_t height() const { return height_; }
  PixelOrder order() const { return order_; }

  /// Takes over the tiles of `candidates` that differ from `picture` (of the same size and order)
  /// and returns them. The first time all candidates count as different.
  TileSet Update(const PixelView& picture, const TileSet& candidates);

  /// The copy.
  PixelView view() const;

 private:
  const uint32_t width_;
  const uint32_t height_;
  const PixelOrder order_;
  bool fresh_ = true;
  std::vector<uint8_t> pixels_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_SHADOW_H_
