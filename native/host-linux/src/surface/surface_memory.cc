// SPDX-License-Identifier: Apache-2.0
#include "surface/surface_memory.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "surface/sigbus_guard.h"

namespace scanbridge::host {
namespace {

EngineError Bad(const char* code, std::string message) {
  return {code, "Surface refused: " + std::move(message) + ".",
          "This is a defect of the producer of surfaces, or an attack; look at its log."};
}

EngineError Unsupported(std::string message, std::string remedy) {
  return {"SURFACE_UNSUPPORTED", "Surface refused: " + std::move(message) + ".", std::move(remedy)};
}

/// Only memory of the kernel answers: a file on a file system of the producer's could make readers
/// wait for ever.
bool IsKernelMemory(int fd) {
  return ::fcntl(fd, F_GET_SEALS) >= 0;
}

/// Asks what does not reach into the file's own file system, unlike fstat, lseek and ioctl.
bool IsDmaBuf(int fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
  std::string line;
  while (std::getline(info, line)) {
    if (line.starts_with("exp_name:")) return true;
  }
  return false;
}

/// Tests have no GPU: their dma-bufs are shared memory, which a real GPU's driver would refuse.
bool FakesAllowed() {
  const char* const value = std::getenv("SCANBRIDGE_FAKE_DMABUF");
  return value != nullptr && std::string_view(value) == "1";
}

void Sync(int fd, uint64_t flags) {
  dma_buf_sync sync{flags | DMA_BUF_SYNC_READ};
  int done;
  do {
    done = ::ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
  } while (done < 0 && (errno == EINTR || errno == EAGAIN));
}

}  // namespace

std::variant<std::shared_ptr<SurfaceMemory>, EngineError> SurfaceMemory::Map(
    const sb_surface& message, const surface::FdList& fds, Unmappable unmappable) {
  if (message.kind == SB_SURFACE_KIND_IOSURFACE) {
    return Unsupported("it is an IOSurface", "IOSurfaces exist on macOS only.");
  }
  if ((message.flags & SB_SURFACE_FLAG_EXPLICIT_SYNC) != 0) {
    return Bad("SURFACE_UNSUPPORTED", "it wants explicit sync, which this client did not announce");
  }
  const auto order = OrderOf(message.format);
  if (!order) {
    return Unsupported("its format is " + FourccName(message.format),
                       "Let the source offer XR24, AR24, XB24 or AB24.");
  }
  const bool tiled = message.modifier != 0;
  const EngineError tiling =
      Unsupported("its pixels are tiled", "Let the source offer the LINEAR modifier.");
  if (tiled && (unmappable == Unmappable::kRefuse || message.kind != SB_SURFACE_KIND_DMABUF)) {
    return tiling;
  }
  const sb_plane& plane = message.planes[0];
  if (message.plane_count != 1 || plane.fd_index >= fds.size()) {
    return Bad("SURFACE_BAD_VALUE", "it must have one plane with a descriptor");
  }
  const uint64_t row = uint64_t{message.width} * kBytesPerPixel;
  const uint64_t needed = uint64_t{plane.stride} * (message.height - 1) + row;
  if (plane.stride < row || plane.size < needed) {
    return Bad("SURFACE_BAD_VALUE", "its plane is smaller than its rows");
  }
  const UniqueFd& fd = fds[plane.fd_index];
  const bool dmabuf = message.kind == SB_SURFACE_KIND_DMABUF && IsDmaBuf(fd.get());
  if (!dmabuf && !IsKernelMemory(fd.get())) {
    return Bad("SURFACE_BAD_VALUE", "its descriptor is neither shared memory nor a dma-buf");
  }
  const off_t end = ::lseek(fd.get(), 0, SEEK_END);
  if (end < 0 || plane.offset > static_cast<uint64_t>(end) ||
      plane.size > static_cast<uint64_t>(end) - plane.offset) {
    return Bad("SURFACE_BAD_VALUE", "its descriptor is smaller than its plane");
  }

  std::shared_ptr<SurfaceMemory> memory(new SurfaceMemory);
  memory->width_ = message.width;
  memory->height_ = message.height;
  memory->inverted_ = (message.flags & SB_SURFACE_FLAG_Y_INVERTED) != 0;
  memory->order_ = *order;
  memory->dmabuf_ = dmabuf;
  // A memfd lives on in its mapping; a dma-buf's descriptor is needed for the calls around reads.
  if (dmabuf || (message.kind == SB_SURFACE_KIND_DMABUF && FakesAllowed())) {
    memory->shared_ = std::make_shared<const DmaBuf>(
        DmaBuf{fd.duplicate(), message.format, message.modifier, message.width, message.height,
               plane.offset, plane.stride, plane.size});
  }
  if (tiled) {
    if (!memory->shared_) return tiling;
    memory->unreadable_ = tiling;
    return memory;
  }
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t start = plane.offset / page * page;
  memory->first_ = plane.offset - start;
  const size_t mapped = memory->first_ + needed;
  void* const base =
      ::mmap(nullptr, mapped, PROT_READ, MAP_SHARED, fd.get(), static_cast<off_t>(start));
  if (base == MAP_FAILED) {
    const std::string why = std::strerror(errno);
    if (!dmabuf) {
      return {EngineError{"SURFACE_NO_MEMORY", "A surface cannot be mapped: " + why + ".",
                          "Raise the limit on the process's memory."}};
    }
    memory->unreadable_ = Unsupported("its dma-buf cannot be mapped (" + why + ")",
                                      "Let the source offer shared memory beside dma-buf.");
    if (unmappable == Unmappable::kRefuse) return *memory->unreadable_;
    return memory;
  }
  memory->base_ = base;
  memory->mapped_ = mapped;
  memory->stride_ = plane.stride;
  return memory;
}

SurfaceMemory::~SurfaceMemory() {
  if (base_ != nullptr) (void)::munmap(base_, mapped_);
}

bool SurfaceMemory::Read(const sb_rect& crop, const std::function<void(const PixelView&)>& read) {
  if (lost_ || base_ == nullptr) return false;
  const uint32_t first_row = inverted_ ? height_ - 1 - crop.y : crop.y;
  const auto* const pixels = static_cast<const uint8_t*>(base_) + first_ +
                             size_t{first_row} * stride_ + size_t{crop.x} * kBytesPerPixel;
  const ptrdiff_t stride = inverted_ ? -static_cast<ptrdiff_t>(stride_) : ptrdiff_t{stride_};
  if (dmabuf_) Sync(shared_->fd.get(), DMA_BUF_SYNC_START);
  {
    const SigbusGuard guard(base_, mapped_);
    read({pixels, stride, crop.width, crop.height, order_});
    if (guard.faulted()) lost_ = true;
  }
  if (dmabuf_) Sync(shared_->fd.get(), DMA_BUF_SYNC_END);
  return !lost_;
}

}  // namespace scanbridge::host
