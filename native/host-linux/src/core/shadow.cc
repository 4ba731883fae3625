// SPDX-License-Identifier: Apache-2.0
#include "core/shadow.h"

#include <cstring>

namespace scanbridge::host {

Shadow::Shadow(uint32_t width, uint32_t height, PixelOrder order)
    : width_(width),
      height_(height),
      order_(order),
      pixels_(size_t{width} * height * kBytesPerPixel) {}

TileSet Shadow::Update(const PixelView& picture, const TileSet& candidates) {
  TileSet changed(width_, height_);
  if (fresh_) changed.Add(candidates);
  fresh_ = false;
  const size_t row_bytes = size_t{width_} * kBytesPerPixel;
  constexpr size_t kTileBytes = size_t{kTile} * kBytesPerPixel;
  for (uint32_t row = 0; row < candidates.rows(); row++) {
    const uint32_t bottom = std::min(height_, (row + 1) * kTile);
    for (uint32_t y = row * kTile; y < bottom; y++) {
      const uint8_t* const from = picture.data + static_cast<ptrdiff_t>(y) * picture.stride;
      uint8_t* const to = pixels_.data() + y * row_bytes;
      for (uint32_t column = 0; column < candidates.columns(); column++) {
        if (!candidates.Has(column, row)) continue;
        const size_t left = column * kTileBytes;
        const size_t size = std::min(kTileBytes, row_bytes - left);
        if (!changed.Has(column, row)) {
          if (std::memcmp(to + left, from + left, size) == 0) continue;
          changed.Add(column, row);
        }
        std::memcpy(to + left, from + left, size);
      }
    }
  }
  return changed;
}

PixelView Shadow::view() const {
  return {pixels_.data(), static_cast<ptrdiff_t>(size_t{width_} * kBytesPerPixel), width_, height_,
          order_};
}

}  // namespace scanbridge::host
