// SPDX-License-Identifier: Apache-2.0
// A dma-buf in the words of GStreamer.
#ifndef SCANBRIDGE_HOST_ENCODE_DMABUF_CAPS_H_
#define SCANBRIDGE_HOST_ENCODE_DMABUF_CAPS_H_

#include <cstdint>
#include <string>
#include <variant>

namespace scanbridge::host {

struct GstVersion {
  unsigned major = 1;
  unsigned minor = 0;
};
/// Of the library that is loaded.
GstVersion RunningGst();

/// The format fields of the caps of a dma-buf, "format=DMA_DRM,drm-format=XR24:0x0300000000606010".
///
/// From 1.24 on the format is DMA_DRM and drm-format says fourcc and modifier, where LINEAR must
/// not be said: "XR24:0x0000000000000000" is invalid. Before, a dma-buf had a video format and
/// nobody could say a modifier: only LINEAR is possible.
struct DmaBufFormat {
  std::string fields;
};
/// The other: why there are no caps for it, one sentence.
std::variant<DmaBufFormat, std::string> DmaBufFormatOf(uint32_t fourcc, uint64_t modifier,
                                                       GstVersion version);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_DMABUF_CAPS_H_
