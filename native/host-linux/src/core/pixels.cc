// SPDX-License-Identifier: Apache-2.0
#include "core/pixels.h"

#include <drm_fourcc.h>

namespace scanbridge::host {

std::optional<PixelOrder> OrderOf(uint32_t fourcc) {
  switch (fourcc) {
    case DRM_FORMAT_XRGB8888:
    case DRM_FORMAT_ARGB8888:
      return PixelOrder::kBgrx;
    case DRM_FORMAT_XBGR8888:
    case DRM_FORMAT_ABGR8888:
      return PixelOrder::kRgbx;
    case DRM_FORMAT_RGBX8888:
    case DRM_FORMAT_RGBA8888:
      return PixelOrder::kXbgr;
    case DRM_FORMAT_BGRX8888:
    case DRM_FORMAT_BGRA8888:
      return PixelOrder::kXrgb;
    default:
      return std::nullopt;
  }
}

std::string FourccName(uint32_t fourcc) {
  std::string name;
  for (int shift = 0; shift < 32; shift += 8) {
    const char c = static_cast<char>(fourcc >> shift);
    name += c >= ' ' && c <= '~' ? c : '?';
  }
  return name;
}

}  // namespace scanbridge::host
