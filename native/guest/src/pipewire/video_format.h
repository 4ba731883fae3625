// SPDX-License-Identifier: Apache-2.0
// The pixel formats that captures take, in SPA's words and in DRM's.
#ifndef SCANBRIDGE_GUEST_PIPEWIRE_VIDEO_FORMAT_H_
#define SCANBRIDGE_GUEST_PIPEWIRE_VIDEO_FORMAT_H_

#include <drm_fourcc.h>
#include <spa/param/video/raw.h>

#include <array>
#include <cstdint>
#include <optional>

namespace scanbridge::guest {

struct VideoFormat {
  spa_video_format spa;
  /// DRM fourcc. SPA names bytes in memory order, DRM in a little-endian word.
  uint32_t fourcc;
};

/// All have one plane of 4 bytes a pixel. The order is the preference.
inline constexpr std::array<VideoFormat, 4> kVideoFormats = {{
    {SPA_VIDEO_FORMAT_BGRx, DRM_FORMAT_XRGB8888},
    {SPA_VIDEO_FORMAT_BGRA, DRM_FORMAT_ARGB8888},
    {SPA_VIDEO_FORMAT_RGBx, DRM_FORMAT_XBGR8888},
    {SPA_VIDEO_FORMAT_RGBA, DRM_FORMAT_ABGR8888},
}};
inline constexpr uint32_t kBytesPerPixel = 4;

inline std::optional<uint32_t> FourccOf(spa_video_format format) {
  for (const VideoFormat& known : kVideoFormats) {
    if (known.spa == format) return known.fourcc;
  }
  return std::nullopt;
}

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_PIPEWIRE_VIDEO_FORMAT_H_
