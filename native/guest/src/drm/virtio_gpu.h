// SPDX-License-Identifier: Apache-2.0
// The guest's virtio-gpu, through its render node: what a dma-buf is called on the host, and images
// of our own.
//
// Duties and invariants:
//  - A resource id is what the host calls the memory; it comes from RESOURCE_INFO and from nowhere
//  else. A GEM handle is
//    a number of one open file and never leaves this file.
//  - The kernel gives the same handle for every import of the same memory into one open file, so
//  one GEM_CLOSE ends it
//    for all of them. Therefore the node is opened for this object alone, and an import is looked
//    at and closed again before the next one begins.
//  - Needs no more than the render node: no DRM master, no root.
#ifndef SCANBRIDGE_GUEST_DRM_VIRTIO_GPU_H_
#define SCANBRIDGE_GUEST_DRM_VIRTIO_GPU_H_

#include <scanbridge/surface.h>
#include <scanbridge/surface/unique_fd.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "drm/error.h"
#include "drm/node.h"

namespace scanbridge::guest {

/// A dma-buf as the host knows it.
struct ResolvedBuffer {
  /// virtio-gpu resource id, never 0.
  uint32_t resource = 0;
  /// Bytes.
  uint32_t size = 0;
};

struct VirtioGpuFeatures {
  /// The host renders (virgl, venus); else resources are plain memory.
  bool rendering = false;
};

class GuestImage;

/// Thread-safe.
class VirtioGpu : public std::enable_shared_from_this<VirtioGpu> {
 public:
  /// Opens a render node, or the first one of a virtio-gpu when `path` is empty. Throws DrmError.
  static std::shared_ptr<VirtioGpu> Open(const std::string& path);

  /// On a node that was opened for this object alone. Throws DrmError kDriverTooOld.
  VirtioGpu(std::unique_ptr<DrmNode> node, std::string path);
  VirtioGpu(const VirtioGpu&) = delete;
  VirtioGpu& operator=(const VirtioGpu&) = delete;

  const std::string& path() const { return path_; }
  const VirtioGpuFeatures& features() const { return features_; }

  /// What the host calls the memory of `dmabuf`, which stays the caller's. The id is valid for as
  /// long as somebody holds the dma-buf. Throws DrmError.
  ResolvedBuffer Resolve(int dmabuf);

  /// Makes a linear image of 4 bytes a pixel that this process draws and the host sees. `fourcc`:
  /// one of kVideoFormats. Throws DrmError.
  std::unique_ptr<GuestImage> CreateImage(uint32_t width, uint32_t height, uint32_t fourcc);

 private:
  friend class GuestImage;

  uint64_t Parameter(uint64_t parameter);
  void CloseHandle(uint32_t handle);

  const std::unique_ptr<DrmNode> node_;
  const std::string path_;
  VirtioGpuFeatures features_;
  /// Held from an import to its end, and while `own_` changes.
  std::mutex mutex_;
  /// Handles of images; an import that turns out to be one of them is not closed.
  std::set<uint32_t> own_;
};

/// Memory of the guest with a resource of the host behind it. What was drawn is seen there once it
/// was transferred.
class GuestImage {
 public:
  /// @private Made by VirtioGpu::CreateImage.
  GuestImage(std::shared_ptr<VirtioGpu> gpu, uint32_t width, uint32_t height);
  GuestImage(const GuestImage&) = delete;
  GuestImage& operator=(const GuestImage&) = delete;
  ~GuestImage();

  uint32_t resource() const { return resource_; }
  uint32_t width() const { return width_; }
  uint32_t height() const { return height_; }
  /// Bytes from one row to the next.
  uint32_t stride() const { return stride_; }
  std::span<uint8_t> pixels() { return {pixels_, size_}; }
  /// The image as a dma-buf, whose fence tells when transfers are done; -1 where the kernel has
  /// none.
  int fence_fd() const { return dmabuf_.get(); }

  /// Queues the rectangle's way to the host; it must lie within the image. The image may be drawn
  /// into again once the transfer was done: the host reads this memory while it transfers. Throws
  /// DrmError.
  void Transfer(const sb_rect& rect);

 private:
  friend class VirtioGpu;

  const std::shared_ptr<VirtioGpu> gpu_;
  const uint32_t width_;
  const uint32_t height_;
  const uint32_t stride_;
  uint32_t handle_ = 0;
  uint32_t resource_ = 0;
  size_t size_ = 0;
  uint8_t* pixels_ = nullptr;
  UniqueFd dmabuf_;
};

/// A render node of a virtio-gpu, and why it cannot be used if so.
struct VirtioGpuNode {
  std::string path;
  /// Empty: usable.
  std::string error;
};

/// All render nodes of this machine that belong to a virtio-gpu, and those that could not be looked
/// at.
std::vector<VirtioGpuNode> ListVirtioGpus();

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_DRM_VIRTIO_GPU_H_
