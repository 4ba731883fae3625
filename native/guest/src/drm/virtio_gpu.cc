// SPDX-License-Identifier: Apache-2.0
#include "drm/virtio_gpu.h"

#include <drm.h>
#include <drm_fourcc.h>
#include <fcntl.h>
#include <linux/virtio_gpu.h>
#include <virtgpu_drm.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "gpu/gpu.h"

namespace scanbridge::guest {
namespace {

constexpr char kDriver[] = "virtio_gpu";
constexpr uint32_t kBytesPerPixel = 4;

// Gallium's names, which virgl uses on the wire; no header of the kernel has them.
constexpr uint32_t kTexture2d = 2;
constexpr uint32_t kBindRenderTarget = 1u << 1;
constexpr uint32_t kBindSamplerView = 1u << 3;

uint32_t WireFormat(uint32_t fourcc) {
  switch (fourcc) {
    case DRM_FORMAT_XRGB8888:
      return VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
    case DRM_FORMAT_ARGB8888:
      return VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM;
    case DRM_FORMAT_XBGR8888:
      return VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM;
    case DRM_FORMAT_ABGR8888:
      return VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM;
    default:
      throw DrmError(DrmErrorCode::kFailed,
                     "The GPU makes no images of format " + std::to_string(fourcc) + ".");
  }
}

std::string Reason(int error) {
  return std::strerror(error);
}

/// Throws what a failed call on the node means.
[[noreturn]] void Throw(const std::string& what, int error) {
  const bool memory = error == ENOMEM || error == EMFILE || error == ENFILE || error == ENOSPC;
  throw DrmError(memory ? DrmErrorCode::kNoMemory : DrmErrorCode::kFailed,
                 what + ": " + Reason(error) + ".");
}

}  // namespace

std::vector<VirtioGpuNode> ListVirtioGpus() {
  std::vector<VirtioGpuNode> found;
  for (const std::string& path : ListRenderNodes()) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) {
      // Whose it is cannot be told without opening it.
      const std::string remedy =
          errno == EACCES ? "; add the user to the group \"render\"" : std::string();
      found.push_back({path, "this user cannot open it (" + Reason(errno) + ")" + remedy});
      continue;
    }
    if (DrmNode(std::move(fd)).DriverName() == kDriver) found.push_back({path, ""});
  }
  return found;
}

std::shared_ptr<VirtioGpu> VirtioGpu::Open(const std::string& path) {
  std::string chosen = path;
  std::string closed;
  if (chosen.empty()) {
    for (const VirtioGpuNode& node : ListVirtioGpus()) {
      if (!node.error.empty()) {
        closed += closed.empty() ? node.path + ": " + node.error : ", " + node.path;
      } else if (chosen.empty()) {
        chosen = node.path;
      }
    }
  }
  if (chosen.empty() && !closed.empty()) {
    throw DrmError(DrmErrorCode::kNoAccess, "No virtio-gpu could be opened: " + closed + ".");
  }
  if (chosen.empty()) {
    throw DrmError(DrmErrorCode::kNoVirtioGpu,
                   "This machine has no virtio-gpu: no render node in /dev/dri belongs to one. In "
                   "a VM, give QEMU "
                   "-device virtio-gpu-pci and load the guest's module virtio_gpu.");
  }
  UniqueFd fd(::open(chosen.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) {
    throw DrmError(errno == EACCES ? DrmErrorCode::kNoAccess : DrmErrorCode::kNoVirtioGpu,
                   chosen + " cannot be opened: " + Reason(errno) + ".");
  }
  auto node = std::make_unique<DrmNode>(std::move(fd));
  if (const std::string driver = node->DriverName(); driver != kDriver) {
    throw DrmError(DrmErrorCode::kNoVirtioGpu,
                   chosen + " is no virtio-gpu; its driver is " +
                       (driver.empty() ? std::string("unknown") : driver) + ".");
  }
  return std::make_shared<VirtioGpu>(std::move(node), chosen);
}

VirtioGpu::VirtioGpu(std::unique_ptr<DrmNode> node, std::string path)
    : node_(std::move(node)), path_(std::move(path)) {
  drm_get_cap prime{};
  prime.capability = DRM_CAP_PRIME;
  if (node_->Control(DRM_IOCTL_GET_CAP, &prime) != 0 || (prime.value & DRM_PRIME_CAP_IMPORT) == 0) {
    throw DrmError(DrmErrorCode::kDriverTooOld,
                   "The kernel's virtio_gpu driver of " + path_ +
                       " cannot import dma-bufs; use Linux 5.4 or newer in the guest.");
  }
  features_.rendering = Parameter(VIRTGPU_PARAM_3D_FEATURES) != 0;
}

uint64_t VirtioGpu::Parameter(uint64_t parameter) {
  // The kernel writes an int, whatever the field's type says.
  uint64_t value = 0;
  drm_virtgpu_getparam get{};
  get.param = parameter;
  get.value = reinterpret_cast<uintptr_t>(&value);
  // A parameter that the kernel does not know yet is a feature that it has not.
  return node_->Control(DRM_IOCTL_VIRTGPU_GETPARAM, &get) == 0 ? value & 0xffffffffu : 0;
}

ResolvedBuffer VirtioGpu::Resolve(int dmabuf) {
  if (!node_->IsDmaBuf(dmabuf)) {
    throw DrmError(DrmErrorCode::kNotDmaBuf, "Descriptor " + std::to_string(dmabuf) +
                                                 " is no dma-buf, although its producer says so.");
  }
  const std::lock_guard lock(mutex_);
  drm_prime_handle import{};
  import.fd = dmabuf;
  if (const int error = node_->Control(DRM_IOCTL_PRIME_FD_TO_HANDLE, &import); error != 0) {
    if (error == ENOMEM || error == EMFILE) Throw(path_ + " imports no further dma-buf", error);
    throw DrmError(DrmErrorCode::kNotOfThisGpu,
                   "The dma-buf's memory is not of " + path_ + " (" + Reason(error) +
                       "). Let the compositor draw on the VM's GPU, or offer shared memory.");
  }
  drm_virtgpu_resource_info info{};
  info.bo_handle = import.handle;
  const int error = node_->Control(DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info);
  if (!own_.contains(import.handle)) CloseHandle(import.handle);
  if (error == ENOTTY || error == EINVAL) {
    throw DrmError(DrmErrorCode::kDriverTooOld,
                   "The kernel's virtio_gpu driver does not tell resource ids (" + Reason(error) +
                       "); use Linux 5.4 or newer in the guest.");
  }
  if (error != 0) Throw(path_ + " does not tell the resource of a dma-buf", error);
  if (info.res_handle == 0) {
    throw DrmError(DrmErrorCode::kNotOfThisGpu, "The dma-buf has no resource on the host.");
  }
  return {info.res_handle, info.size};
}

void VirtioGpu::CloseHandle(uint32_t handle) {
  drm_gem_close close{};
  close.handle = handle;
  node_->Control(DRM_IOCTL_GEM_CLOSE, &close);
}

std::unique_ptr<GuestImage> VirtioGpu::CreateImage(uint32_t width, uint32_t height,
                                                   uint32_t fourcc) {
  if (width == 0 || height == 0 || width > SB_MAX_DIMENSION || height > SB_MAX_DIMENSION) {
    throw DrmError(DrmErrorCode::kFailed, "No image is " + std::to_string(width) + " x " +
                                              std::to_string(height) + " pixels large.");
  }
  auto image = std::make_unique<GuestImage>(shared_from_this(), width, height);
  drm_virtgpu_resource_create create{};
  create.target = kTexture2d;
  create.format = WireFormat(fourcc);
  create.bind = kBindSamplerView | kBindRenderTarget;
  create.width = width;
  create.height = height;
  create.depth = 1;
  create.array_size = 1;
  create.size = image->stride_ * height;
  create.stride = image->stride_;
  {
    const std::lock_guard lock(mutex_);
    if (const int error = node_->Control(DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create); error != 0) {
      Throw(path_ + " makes no image of " + std::to_string(width) + " x " + std::to_string(height) +
                " pixels",
            error);
    }
    own_.insert(create.bo_handle);
  }
  image->handle_ = create.bo_handle;
  image->resource_ = create.res_handle;
  drm_virtgpu_map map{};
  map.handle = create.bo_handle;
  if (const int error = node_->Control(DRM_IOCTL_VIRTGPU_MAP, &map); error != 0) {
    Throw("An image of " + path_ + " cannot be mapped", error);
  }
  image->pixels_ = static_cast<uint8_t*>(node_->Map(create.size, map.offset));
  if (image->pixels_ == nullptr) Throw("An image of " + path_ + " cannot be mapped", errno);
  image->size_ = create.size;
  drm_prime_handle shared{};
  shared.handle = create.bo_handle;
  shared.flags = DRM_CLOEXEC;
  if (node_->Control(DRM_IOCTL_PRIME_HANDLE_TO_FD, &shared) == 0) image->dmabuf_.reset(shared.fd);
  return image;
}

GuestImage::GuestImage(std::shared_ptr<VirtioGpu> gpu, uint32_t width, uint32_t height)
    : gpu_(std::move(gpu)), width_(width), height_(height), stride_(width * kBytesPerPixel) {}

GuestImage::~GuestImage() {
  if (pixels_ != nullptr) gpu_->node_->Unmap(pixels_, size_);
  if (handle_ == 0) return;
  const std::lock_guard lock(gpu_->mutex_);
  gpu_->own_.erase(handle_);
  gpu_->CloseHandle(handle_);
}

void GuestImage::Transfer(const sb_rect& rect) {
  drm_virtgpu_3d_transfer_to_host transfer{};
  transfer.bo_handle = handle_;
  transfer.box.x = rect.x;
  transfer.box.y = rect.y;
  transfer.box.w = rect.width;
  transfer.box.h = rect.height;
  transfer.box.d = 1;
  // The host takes rows from the image's own stride.
  transfer.offset = rect.y * stride_ + rect.x * kBytesPerPixel;
  if (const int error = gpu_->node_->Control(DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &transfer);
      error != 0) {
    Throw("A picture could not be transferred to the host", error);
  }
}

}  // namespace scanbridge::guest
