// SPDX-License-Identifier: Apache-2.0
#include "drm/fence_watch.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <utility>

namespace scanbridge::guest {
namespace {

// Timelines have no descriptor that could be waited on before Linux 6.6, so they are looked at
// again.
constexpr std::chrono::microseconds kTimelineStep{500};

bool Readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) != 0;
}

}  // namespace

FenceWatch::FenceWatch(Loop& loop, std::function<void(bool)> done)
    : loop_(loop),
      done_(std::move(done)),
      limit_(loop, [this] { Finish(false); }),
      again_(loop, [this] { LookAgain(); }) {}

bool FenceWatch::Ready(int dmabuf, std::chrono::milliseconds limit) {
  Cancel();
  // A dma-buf is readable when nobody writes to it.
  if (dmabuf < 0 || Readable(dmabuf)) return true;
  // Its poll() remembers one waiter for each open file, which the compositor has, too; the snapshot
  // is only ours.
  dma_buf_export_sync_file snapshot{};
  snapshot.flags = DMA_BUF_SYNC_READ;
  snapshot.fd = -1;
  if (::ioctl(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &snapshot) == 0) {
    fence_.reset(snapshot.fd);
  } else {
    fence_.reset(::fcntl(dmabuf, F_DUPFD_CLOEXEC, 0));
  }
  if (!fence_) return true;
  watch_ =
      std::make_unique<IoWatch>(loop_, fence_.get(), SPA_IO_IN, [this](uint32_t) { Finish(true); });
  Begin(limit);
  return false;
}

bool FenceWatch::Ready(const SyncTimeline& timeline, int syncobj, uint64_t point,
                       std::chrono::milliseconds limit) {
  Cancel();
  if (timeline.Reached(syncobj, point)) return true;
  syncobj_.reset(::fcntl(syncobj, F_DUPFD_CLOEXEC, 0));
  timeline_ = &timeline;
  point_ = point;
  Begin(limit);
  again_.Start(kTimelineStep);
  return false;
}

void FenceWatch::Begin(std::chrono::milliseconds limit) {
  waiting_ = true;
  limit_.Start(limit);
}

void FenceWatch::LookAgain() {
  if (timeline_->Reached(syncobj_.get(), point_)) return Finish(true);
  again_.Start(kTimelineStep);
}

void FenceWatch::Cancel() {
  waiting_ = false;
  limit_.Stop();
  again_.Stop();
  watch_.reset();
  fence_.reset();
  syncobj_.reset();
  timeline_ = nullptr;
}

void FenceWatch::Finish(bool in_time) {
  if (watch_) {
    // It may not be destroyed in its own callback, nor call again until it is.
    watch_->Update(0);
    loop_.Post([watch = std::shared_ptr<IoWatch>(std::move(watch_)),
                fence = std::make_shared<UniqueFd>(std::move(fence_))]() mutable {
      watch.reset();
      fence.reset();
    });
  }
  Cancel();
  done_(in_time);
}

}  // namespace scanbridge::guest
