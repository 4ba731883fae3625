// SPDX-License-Identifier: Apache-2.0
// Packed 32-bit pixels as they lie in memory.
#ifndef SCANBRIDGE_HOST_CORE_PIXELS_H_
#define SCANBRIDGE_HOST_CORE_PIXELS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace scanbridge::host {

inline constexpr uint32_t kBytesPerPixel = 4;

/// Order of the bytes of a pixel. The fourth byte (alpha or nothing) is not looked at: a desktop is
/// opaque.
enum class PixelOrder {
  kBgrx,  ///< DRM XR24, AR24
  kRgbx,  ///< DRM XB24, AB24
  kXbgr,  ///< DRM RX24, RA24
  kXrgb,  ///< DRM BX24, BA24
};

/// The order of a DRM fourcc; nothing for formats that the software path cannot read.
std::optional<PixelOrder> OrderOf(uint32_t fourcc);

/// A fourcc as people write it: "XR24".
std::string FourccName(uint32_t fourcc);

/// Rows of pixels that belong to someone else. The stride is negative when the lowest row comes
/// first.
struct PixelView {
  const uint8_t* data = nullptr;
  ptrdiff_t stride = 0;
  uint32_t width = 0;
  uint32_t height = 0;
  PixelOrder order = PixelOrder::kBgrx;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_PIXELS_H_
