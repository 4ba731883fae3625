// SPDX-License-Identifier: Apache-2.0
// A surface that a GPU reads, and this process does not.
#ifndef SCANBRIDGE_HOST_SURFACE_DMABUF_H_
#define SCANBRIDGE_HOST_SURFACE_DMABUF_H_

#include <scanbridge/surface/unique_fd.h>

#include <cstddef>
#include <cstdint>

namespace scanbridge::host {

/// One plane of packed pixels in a dma-buf. Lives as long as anybody holds it, whatever the
/// producer does with its own end.
struct DmaBuf {
  UniqueFd fd;
  /// DRM fourcc and modifier.
  uint32_t format = 0;
  uint64_t modifier = 0;
  uint32_t width = 0;
  uint32_t height = 0;
  size_t offset = 0;
  uint32_t stride = 0;
  /// Of the plane [bytes].
  size_t size = 0;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_SURFACE_DMABUF_H_
