// SPDX-License-Identifier: Apache-2.0
#include "gpu/sync_timeline.h"

#include <drm.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>

namespace scanbridge::guest {
namespace {

bool Control(int fd, unsigned long request, void* argument) {
  int result;
  do {
    result = ::ioctl(fd, request, argument);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return result >= 0;
}

}  // namespace

SyncTimeline::SyncTimeline(const std::string& render_node) {
  if (render_node.empty()) return;
  device_.reset(::open(render_node.c_str(), O_RDWR | O_CLOEXEC));
  if (!device_) return;
  drm_get_cap timelines{};
  timelines.capability = DRM_CAP_SYNCOBJ_TIMELINE;
  if (!Control(device_.get(), DRM_IOCTL_GET_CAP, &timelines) || timelines.value == 0) {
    device_.reset();
  }
}

bool SyncTimeline::Signal(int syncobj, uint64_t point) const {
  if (!usable()) return false;
  drm_syncobj_handle import{};
  import.fd = syncobj;
  if (!Control(device_.get(), DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import)) return false;
  drm_syncobj_timeline_array signal{};
  signal.handles = reinterpret_cast<uintptr_t>(&import.handle);
  signal.points = reinterpret_cast<uintptr_t>(&point);
  signal.count_handles = 1;
  const bool signalled = Control(device_.get(), DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &signal);
  drm_syncobj_destroy destroy{};
  destroy.handle = import.handle;
  Control(device_.get(), DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
  return signalled;
}

bool SyncTimeline::Reached(int syncobj, uint64_t point) const {
  if (!usable()) return false;
  drm_syncobj_handle import{};
  import.fd = syncobj;
  if (!Control(device_.get(), DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import)) return false;
  uint64_t signalled = 0;
  drm_syncobj_timeline_array query{};
  query.handles = reinterpret_cast<uintptr_t>(&import.handle);
  query.points = reinterpret_cast<uintptr_t>(&signalled);
  query.count_handles = 1;
  const bool known = Control(device_.get(), DRM_IOCTL_SYNCOBJ_QUERY, &query);
  drm_syncobj_destroy destroy{};
  destroy.handle = import.handle;
  Control(device_.get(), DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
  return known && signalled >= point;
}

}  // namespace scanbridge::guest
