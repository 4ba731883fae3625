// SPDX-License-Identifier: Apache-2.0
#include "drm/node.h"

#include <drm.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace scanbridge::guest {

int DrmNode::Control(unsigned long request, void* argument) {
  int result;
  do {
    result = ::ioctl(fd_.get(), request, argument);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return result < 0 ? errno : 0;
}

void* DrmNode::Map(size_t size, uint64_t offset) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(),
                        static_cast<off_t>(offset));
  return memory == MAP_FAILED ? nullptr : memory;
}

void DrmNode::Unmap(void* memory, size_t size) {
  ::munmap(memory, size);
}

bool DrmNode::IsDmaBuf(int fd) {
  struct statfs status;
  return ::fstatfs(fd, &status) == 0 && status.f_type == DMA_BUF_MAGIC;
}

std::string DrmNode::DriverName() {
  std::array<char, 64> name{};
  drm_version version{};
  version.name = name.data();
  version.name_len = name.size();
  if (Control(DRM_IOCTL_VERSION, &version) != 0) return {};
  return {name.data(), ::strnlen(name.data(), name.size())};
}

}  // namespace scanbridge::guest
