// SPDX-License-Identifier: Apache-2.0
// Pictures in shared memory, brought into a virtio-gpu resource of our own.
#ifndef SCANBRIDGE_GUEST_DRM_UPLOAD_H_
#define SCANBRIDGE_GUEST_DRM_UPLOAD_H_

#include <scanbridge/surface.h>

#include <cstdint>
#include <memory>

#include "drm/virtio_gpu.h"
#include "server/damage.h"
#include "server/picture.h"

namespace scanbridge::guest {

/// One image for one stream: a picture is copied only when the one before was released, so nobody
/// reads meanwhile, and the damage is copied once. With a second image each damage would be copied
/// twice, once into each.
class Upload {
 public:
  explicit Upload(std::shared_ptr<VirtioGpu> gpu) : gpu_(std::move(gpu)) {}

  /// Whether a picture of this size and format needs another image than the present one.
  bool NeedsImage(const sb_surface& surface, const sb_rect& crop) const;
  /// Makes the image for such pictures. Throws DrmError; the former image is gone then, too.
  void MakeImage(const sb_surface& surface, const sb_rect& crop);

  /// Copies what is damaged within `crop` into the image and, where the host renders, queues its
  /// transfer. Returns the bytes copied, 0 for a surface whose memory is smaller than it says.
  /// Throws DrmError.
  uint64_t Copy(const Surface& surface, const sb_rect& crop, const Damage& damage);

  const GuestImage* image() const { return image_.get(); }
  void DropImage() { image_.reset(); }

 private:
  bool CopyRows(int fd, uint64_t offset, uint32_t stride, const sb_rect& rect);

  const std::shared_ptr<VirtioGpu> gpu_;
  std::unique_ptr<GuestImage> image_;
  uint32_t format_ = 0;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_DRM_UPLOAD_H_
