// SPDX-License-Identifier: Apache-2.0
// An open DRM device node.
#ifndef SCANBRIDGE_GUEST_DRM_NODE_H_
#define SCANBRIDGE_GUEST_DRM_NODE_H_

#include <scanbridge/surface/unique_fd.h>

#include <string>

namespace scanbridge::guest {

/// Passes calls to the kernel. Virtual, so that tests can put a kernel of their own below
/// VirtioGpu.
class DrmNode {
 public:
  explicit DrmNode(UniqueFd fd) : fd_(std::move(fd)) {}
  DrmNode(const DrmNode&) = delete;
  DrmNode& operator=(const DrmNode&) = delete;
  virtual ~DrmNode() = default;

  /// One ioctl; 0, or the positive errno. Interrupted calls are repeated.
  virtual int Control(unsigned long request, void* argument);
  /// Maps memory of the node, shared; nullptr when the kernel refuses.
  virtual void* Map(size_t size, uint64_t offset);
  virtual void Unmap(void* memory, size_t size);
  /// Whether `fd` is a dma-buf at all.
  virtual bool IsDmaBuf(int fd);

  /// The driver's name, e.g. "virtio_gpu"; empty when the node does not tell.
  std::string DriverName();

 private:
  UniqueFd fd_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_DRM_NODE_H_
