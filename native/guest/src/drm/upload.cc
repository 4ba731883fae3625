// SPDX-License-Identifier: Apache-2.0
#include "drm/upload.h"

#include <unistd.h>

#include <cerrno>

namespace scanbridge::guest {
namespace {

constexpr uint32_t kBytesPerPixel = 4;

/// Fills `bytes` from a file. Read and not mapped: whoever gave us the file may make it shorter at
/// any moment.
bool ReadAll(int fd, uint8_t* bytes, size_t count, uint64_t offset) {
  while (count > 0) {
    const ssize_t got = ::pread(fd, bytes, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

bool Upload::NeedsImage(const sb_surface& surface, const sb_rect& crop) const {
  return !image_ || image_->width() != crop.width || image_->height() != crop.height ||
         format_ != surface.format;
}

void Upload::MakeImage(const sb_surface& surface, const sb_rect& crop) {
  image_.reset();
  image_ = gpu_->CreateImage(crop.width, crop.height, surface.format);
  format_ = surface.format;
}

uint64_t Upload::Copy(const Surface& surface, const sb_rect& crop, const Damage& damage) {
  const sb_plane& plane = surface.description.planes[0];
  const int fd = surface.fds[plane.fd_index].get();
  const sb_rect whole[] = {crop};
  const std::span<const sb_rect> rects =
      damage.all() ? std::span<const sb_rect>(whole) : damage.rects();
  uint64_t bytes = 0;
  for (const sb_rect& rect : rects) {
    const sb_rect part = Intersect(rect, crop);
    if (part.width == 0) continue;
    const uint64_t from =
        plane.offset + uint64_t{part.y} * plane.stride + uint64_t{part.x} * kBytesPerPixel;
    const sb_rect to = {part.x - crop.x, part.y - crop.y, part.width, part.height};
    if (!CopyRows(fd, from, plane.stride, to)) return 0;
    // Without a renderer the host reads the guest's memory itself.
    if (gpu_->features().rendering) image_->Transfer(to);
    bytes += uint64_t{to.width} * to.height * kBytesPerPixel;
  }
  return bytes;
}

bool Upload::CopyRows(int fd, uint64_t offset, uint32_t stride, const sb_rect& rect) {
  const uint32_t row = rect.width * kBytesPerPixel;
  uint8_t* to = image_->pixels().data() + uint64_t{rect.y} * image_->stride() +
                uint64_t{rect.x} * kBytesPerPixel;
  if (row == image_->stride() && stride == image_->stride()) {
    return ReadAll(fd, to, uint64_t{row} * rect.height, offset);
  }
  for (uint32_t y = 0; y < rect.height; y++) {
    if (!ReadAll(fd, to, row, offset)) return false;
    to += image_->stride();
    offset += stride;
  }
  return true;
}

}  // namespace scanbridge::guest
