// SPDX-License-Identifier: Apache-2.0
// Waits for whoever draws into a dma-buf, without blocking.
#ifndef SCANBRIDGE_GUEST_DRM_FENCE_WATCH_H_
#define SCANBRIDGE_GUEST_DRM_FENCE_WATCH_H_

#include <scanbridge/surface/unique_fd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "gpu/sync_timeline.h"
#include "loop/loop.h"

namespace scanbridge::guest {

/// One wait at a time. In the loop's thread.
class FenceWatch {
 public:
  /// `done(in_time)` follows every wait that did not end at once and was not cancelled, in the
  /// loop's thread.
  FenceWatch(Loop& loop, std::function<void(bool in_time)> done);
  FenceWatch(const FenceWatch&) = delete;
  FenceWatch& operator=(const FenceWatch&) = delete;

  /// Implicit sync: what was queued for the dma-buf's memory. True when that is done already, which
  /// costs no ioctl.
  bool Ready(int dmabuf, std::chrono::milliseconds limit);
  /// Explicit sync: a point of the timeline that `syncobj` is a descriptor of, which stays the
  /// caller's.
  bool Ready(const SyncTimeline& timeline, int syncobj, uint64_t point,
             std::chrono::milliseconds limit);
  /// `done` does not follow any more.
  void Cancel();
  bool waiting() const { return waiting_; }

 private:
  void Begin(std::chrono::milliseconds limit);
  void LookAgain();
  void Finish(bool in_time);

  Loop& loop_;
  const std::function<void(bool)> done_;
  bool waiting_ = false;
  Timer limit_;
  Timer again_;
  /// Implicit: a snapshot of the fences, or the dma-buf itself on kernels that make none.
  UniqueFd fence_;
  std::unique_ptr<IoWatch> watch_;
  /// Explicit.
  const SyncTimeline* timeline_ = nullptr;
  UniqueFd syncobj_;
  uint64_t point_ = 0;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_DRM_FENCE_WATCH_H_
