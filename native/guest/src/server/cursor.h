// SPDX-License-Identifier: Apache-2.0
// The cursor of a source, sent beside the pictures.
#ifndef SCANBRIDGE_GUEST_SERVER_CURSOR_H_
#define SCANBRIDGE_GUEST_SERVER_CURSOR_H_

#include <cstdint>
#include <vector>

namespace scanbridge::guest {

/// Position and shape; `shape_serial` grows with every new shape, 0 while there is none.
struct Cursor {
  bool visible = false;
  /// Of the hot spot, in pixels of the crop.
  int32_t x = 0;
  int32_t y = 0;
  uint32_t hot_x = 0;
  uint32_t hot_y = 0;
  uint32_t width = 0;
  uint32_t height = 0;
  /// DRM AR24, premultiplied, width * height * 4 bytes.
  std::vector<uint8_t> pixels;
  uint64_t shape_serial = 0;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SERVER_CURSOR_H_
