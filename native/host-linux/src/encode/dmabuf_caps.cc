// SPDX-License-Identifier: Apache-2.0
#include "encode/dmabuf_caps.h"

#include <drm_fourcc.h>
#include <gst/gst.h>

#include <cinttypes>
#include <cstdio>

#include "core/pixels.h"

namespace scanbridge::host {
namespace {

/// GStreamer names bytes in the order of memory, DRM in that of a little-endian word.
const char* VideoFormatOf(uint32_t fourcc) {
  switch (fourcc) {
    case DRM_FORMAT_XRGB8888:
      return "BGRx";
    case DRM_FORMAT_ARGB8888:
      return "BGRA";
    case DRM_FORMAT_XBGR8888:
      return "RGBx";
    case DRM_FORMAT_ABGR8888:
      return "RGBA";
    default:
      return nullptr;
  }
}

}  // namespace

GstVersion RunningGst() {
  guint major = 0;
  guint minor = 0;
  guint micro = 0;
  guint nano = 0;
  gst_version(&major, &minor, &micro, &nano);
  return {major, minor};
}

std::variant<DmaBufFormat, std::string> DmaBufFormatOf(uint32_t fourcc, uint64_t modifier,
                                                       GstVersion version) {
  const bool drm = version.major > 1 || (version.major == 1 && version.minor >= 24);
  const std::string name = FourccName(fourcc);
  if (modifier == DRM_FORMAT_MOD_INVALID) {
    return "The compositor does not say how the pixels of its " + name + " dma-bufs are laid out.";
  }
  if (drm) {
    std::string fields = "format=DMA_DRM,drm-format=" + name;
    if (modifier != DRM_FORMAT_MOD_LINEAR) {
      char text[24];
      std::snprintf(text, sizeof text, ":0x%016" PRIx64, modifier);
      fields += text;
    }
    return DmaBufFormat{std::move(fields)};
  }
  if (modifier != DRM_FORMAT_MOD_LINEAR) {
    return "GStreamer 1." + std::to_string(version.minor) +
           " cannot say that a dma-buf is tiled; 1.24 and later can.";
  }
  const char* const format = VideoFormatOf(fourcc);
  if (format == nullptr) {
    return "GStreamer 1." + std::to_string(version.minor) + " has no name for " + name + ".";
  }
  return DmaBufFormat{std::string("format=") + format};
}

}  // namespace scanbridge::host
