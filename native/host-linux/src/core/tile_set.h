// SPDX-License-Identifier: Apache-2.0
// A set of 64x64 tiles of a picture.
#ifndef SCANBRIDGE_HOST_CORE_TILE_SET_H_
#define SCANBRIDGE_HOST_CORE_TILE_SET_H_

#include <scanbridge/surface.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace scanbridge::host {

inline constexpr uint32_t kTile = 64;

/// Tiles in rows from the upper left corner; the last ones of a row or column may be cut by the
/// picture's edge.
class TileSet {
 public:
  TileSet() = default;
  TileSet(uint32_t width, uint32_t height)
      : columns_((width + kTile - 1) / kTile),
        rows_((height + kTile - 1) / kTile),
        tiles_(size_t{columns_} * rows_) {}

  uint32_t columns() const { return columns_; }
  uint32_t rows() const { return rows_; }

  bool Has(uint32_t column, uint32_t row) const { return tiles_[At(column, row)] != 0; }
  void Add(uint32_t column, uint32_t row) { tiles_[At(column, row)] = 1; }
  void AddAll() { std::fill(tiles_.begin(), tiles_.end(), uint8_t{1}); }
  void Clear() { std::fill(tiles_.begin(), tiles_.end(), uint8_t{0}); }

  /// Adds every tile that a rectangle touches. The rectangle lies within the picture and is not
  /// empty.
  void Add(const sb_rect& rect) {
    const uint32_t right = (rect.x + rect.width - 1) / kTile;
    const uint32_t bottom = (rect.y + rect.height - 1) / kTile;
    for (uint32_t row = rect.y / kTile; row <= bottom; row++) {
      for (uint32_t column = rect.x / kTile; column <= right; column++) Add(column, row);
    }
  }

  /// Adds the tiles of a set of the same size.
  void Add(const TileSet& other) {
    for (size_t i = 0; i < tiles_.size(); i++) tiles_[i] |= other.tiles_[i];
  }

  size_t count() const {
    return static_cast<size_t>(std::count(tiles_.begin(), tiles_.end(), uint8_t{1}));
  }
  bool empty() const { return count() == 0; }

 private:
  size_t At(uint32_t column, uint32_t row) const { return size_t{row} * columns_ + column; }

  uint32_t columns_ = 0;
  uint32_t rows_ = 0;
  std::vector<uint8_t> tiles_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_TILE_SET_H_
