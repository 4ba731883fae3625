// SPDX-License-Identifier: Apache-2.0
// A FAKE of the kernel's virtio_gpu driver, for tests without one: it keeps the handles of one open
// file as the real one does, and no pixels.
#ifndef SCANBRIDGE_GUEST_TEST_FAKE_KERNEL_H_
#define SCANBRIDGE_GUEST_TEST_FAKE_KERNEL_H_

#include <drm.h>
#include <virtgpu_drm.h>

#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "drm/virtio_gpu.h"

namespace scanbridge::guest {

/// What the fake kernel has seen; outlives the node.
struct FakeKernel {
  std::mutex mutex;
  /// Descriptor -> memory. Memory m is resource 1000 + m.
  std::map<int, uint32_t> dmabufs;
  /// Memory -> handle, of this one open file.
  std::map<uint32_t, uint32_t> handles;
  std::set<int> foreign;
  uint32_t next_handle = 1;
  uint32_t next_memory = 500;
  uint32_t closes = 0;
  uint32_t bad_closes = 0;
  uint64_t prime = DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT;
  uint32_t rendering = 0;
  int info_error = 0;
  int map_error = 0;
  std::vector<drm_virtgpu_3d_transfer_to_host> transfers;
  std::vector<uint8_t> memory = std::vector<uint8_t>(1 << 20);

  uint32_t MemoryOf(uint32_t handle) {
    for (const auto& [memory_id, known] : handles) {
      if (known == handle) return memory_id;
    }
    return 0;
  }
};

class FakeNode final : public DrmNode {
 public:
  explicit FakeNode(FakeKernel& kernel) : DrmNode(UniqueFd()), kernel_(kernel) {}

  bool IsDmaBuf(int fd) override {
    const std::lock_guard lock(kernel_.mutex);
    return kernel_.dmabufs.contains(fd) || kernel_.foreign.contains(fd);
  }

  void* Map(size_t size, uint64_t) override {
    return size <= kernel_.memory.size() ? kernel_.memory.data() : nullptr;
  }
  void Unmap(void*, size_t) override {}

  int Control(unsigned long request, void* argument) override {
    const std::lock_guard lock(kernel_.mutex);
    switch (request) {
      case DRM_IOCTL_GET_CAP:
        static_cast<drm_get_cap*>(argument)->value = kernel_.prime;
        return 0;
      case DRM_IOCTL_VIRTGPU_GETPARAM: {
        auto* get = static_cast<drm_virtgpu_getparam*>(argument);
        *reinterpret_cast<uint32_t*>(static_cast<uintptr_t>(get->value)) = kernel_.rendering;
        return 0;
      }
      case DRM_IOCTL_PRIME_FD_TO_HANDLE: {
        auto* import = static_cast<drm_prime_handle*>(argument);
        const auto found = kernel_.dmabufs.find(import->fd);
        if (found == kernel_.dmabufs.end()) return ENODEV;
        auto [entry, made] = kernel_.handles.try_emplace(found->second, kernel_.next_handle);
        if (made) kernel_.next_handle++;
        import->handle = entry->second;
        return 0;
      }
      case DRM_IOCTL_VIRTGPU_RESOURCE_INFO: {
        auto* info = static_cast<drm_virtgpu_resource_info*>(argument);
        const uint32_t memory = kernel_.MemoryOf(info->bo_handle);
        if (kernel_.info_error != 0) return kernel_.info_error;
        if (memory == 0) return ENOENT;
        info->res_handle = 1000 + memory;
        info->size = 4096;
        return 0;
      }
      case DRM_IOCTL_GEM_CLOSE: {
        const uint32_t memory = kernel_.MemoryOf(static_cast<drm_gem_close*>(argument)->handle);
        kernel_.closes++;
        if (memory == 0) {
          kernel_.bad_closes++;
          return EINVAL;
        }
        kernel_.handles.erase(memory);
        return 0;
      }
      case DRM_IOCTL_VIRTGPU_RESOURCE_CREATE: {
        auto* create = static_cast<drm_virtgpu_resource_create*>(argument);
        const uint32_t memory = kernel_.next_memory++;
        kernel_.handles[memory] = create->bo_handle = kernel_.next_handle++;
        create->res_handle = 1000 + memory;
        return 0;
      }
      case DRM_IOCTL_VIRTGPU_MAP:
        return kernel_.map_error;
      case DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST:
        kernel_.transfers.push_back(*static_cast<drm_virtgpu_3d_transfer_to_host*>(argument));
        return 0;
      default:
        return ENOTTY;
    }
  }

 private:
  FakeKernel& kernel_;
};

inline std::shared_ptr<VirtioGpu> OpenFake(FakeKernel& kernel) {
  return std::make_shared<VirtioGpu>(std::make_unique<FakeNode>(kernel), "fake");
}

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_TEST_FAKE_KERNEL_H_
