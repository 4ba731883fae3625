// SPDX-License-Identifier: Apache-2.0
// DRM syncobj timelines: waits for a compositor's, and signals it for pictures that no client has
// read.
#ifndef SCANBRIDGE_GUEST_GPU_SYNC_TIMELINE_H_
#define SCANBRIDGE_GUEST_GPU_SYNC_TIMELINE_H_

#include <scanbridge/surface/unique_fd.h>

#include <cstdint>
#include <string>

namespace scanbridge::guest {

class SyncTimeline {
 public:
  /// `render_node`: empty or without timelines makes usable() false.
  explicit SyncTimeline(const std::string& render_node);

  bool usable() const { return device_.get() >= 0; }

  /// Signals `point` on the timeline that `syncobj` is a descriptor of; false when the kernel
  /// refuses.
  bool Signal(int syncobj, uint64_t point) const;

  /// Whether `point` was signalled on the timeline that `syncobj` is a descriptor of. Does not
  /// wait.
  bool Reached(int syncobj, uint64_t point) const;

 private:
  UniqueFd device_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_GPU_SYNC_TIMELINE_H_
