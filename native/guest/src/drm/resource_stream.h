// SPDX-License-Identifier: Apache-2.0
// A source as resource ids: what an agent in a VM tells the bridge instead of pixels.
//
// Duties and invariants:
//  - A frame names a resource whose picture is complete on the host's side: fences are waited for
//  before, without
//    blocking the loop.
//  - Of dma-bufs the id is known since PipeWire added the buffer, so a frame costs no ioctl. Shared
//  memory is copied,
//    damage only, into a resource of this stream.
//  - One frame is unreleased at a time; what comes meanwhile is merged, and the newest picture
//  wins. A buffer that the
//    host does not release goes back to the compositor after kReleaseLimit, and no further frame is
//    sent until the host answers: a dead host costs the desktop nothing.
//
// In the loop's thread, or with its lock held.
#ifndef SCANBRIDGE_GUEST_DRM_RESOURCE_STREAM_H_
#define SCANBRIDGE_GUEST_DRM_RESOURCE_STREAM_H_

#include <scanbridge/surface.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drm/fence_watch.h"
#include "drm/upload.h"
#include "drm/virtio_gpu.h"
#include "server/damage.h"
#include "server/picture.h"
#include "server/source.h"
#include "server/subscriber.h"

namespace scanbridge::guest {

/// How the pixels of a resource lie.
struct ResourceGeometry {
  uint32_t resource = 0;
  /// Pixels.
  uint32_t width = 0;
  uint32_t height = 0;
  /// Bytes.
  uint32_t stride = 0;
  uint64_t offset = 0;
  /// DRM fourcc.
  uint32_t format = 0;
  /// DRM format modifier.
  uint64_t modifier = 0;
  /// The pixels are in the guest's memory; the host has no newer copy of them.
  bool backing = false;

  bool operator==(const ResourceGeometry&) const = default;
};

struct ResourceFrame {
  uint32_t resource = 0;
  /// Counts the source's pictures; a gap counts those that newer ones replaced.
  uint64_t sequence = 0;
  /// CLOCK_MONOTONIC [ns].
  uint64_t pts = 0;
  /// What changed since the frame before [pixels of the picture]; none: all of it.
  std::optional<sb_rect> damage;
};

class ResourceStream final : public Subscriber {
 public:
  /// A buffer is kept from the compositor no longer than this.
  static constexpr std::chrono::milliseconds kReleaseLimit{1000};
  /// A picture that is not complete after this time is given up.
  static constexpr std::chrono::milliseconds kFenceLimit{1000};

  struct Events {
    /// Before a resource's first frame, and when it changes.
    std::function<void(const ResourceGeometry&)> geometry;
    std::function<void(const ResourceFrame&)> frame;
    /// No further frame uses the resource; the guest may free it from now on.
    std::function<void(uint32_t resource)> gone;
    /// There is no picture for now.
    std::function<void()> waiting;
    /// Shared memory cannot be brought to the host; no frame follows.
    std::function<void(const DrmError&)> error;
  };

  struct Counters {
    uint64_t frames = 0;
    /// Bytes copied out of shared memory.
    uint64_t copied = 0;
    /// Frames that the host did not release in time.
    uint64_t late = 0;
    /// Pictures that were not complete in time.
    uint64_t stuck = 0;
  };

  /// Attaches itself to `source`, which ends it or outlives it.
  ResourceStream(Loop& loop, Source& source, std::shared_ptr<VirtioGpu> gpu, Events events);
  ResourceStream(const ResourceStream&) = delete;
  ResourceStream& operator=(const ResourceStream&) = delete;
  ~ResourceStream() override;

  /// The host is there and knows nothing: the present picture and its geometry follow.
  void Start();
  /// The host is away: everything is given back.
  void Stop();
  /// The host no longer reads the frame; of any other sequence than the last sent one's it is
  /// ignored.
  void Release(uint64_t sequence);

  const Counters& counters() const { return counters_; }

  Picture* outstanding() const override { return picture_.get(); }
  void OnPicture(const Damage& damage) override;
  void OnCursor() override {}
  void OnState() override;
  void OnReset(sb_reset_reason reason) override;
  void OnSurfaceGone(uint32_t surface) override;
  void OnEnd(sb_surface_error code, const std::string& text) override;

 private:
  enum class Stage {
    kIdle,
    /// Waits until `picture_` is complete.
    kDrawing,
    /// Waits until the copy of it has reached the host.
    kCopying,
    /// Waits for the host's release.
    kSent,
  };
  struct Announced {
    /// Of the source; 0 for this stream's own image.
    uint32_t surface;
    ResourceGeometry geometry;
  };

  void TrySend();
  /// The fence that was waited for is signalled, or will not be in time.
  void OnFence(bool in_time);
  void OnComplete();
  bool CopyPicture();
  void Send();
  void Announce(uint32_t surface, const ResourceGeometry& geometry);
  void Forget(uint32_t resource);
  /// Gives the picture that is under way up; what changed in it is in the next one.
  void GiveUp();
  void OnLate();

  Loop& loop_;
  Source& source_;
  const Events events_;
  SyncTimeline timeline_;
  FenceWatch fence_;
  Timer late_;
  const bool backing_;
  Upload upload_;
  bool started_ = false;
  bool ended_ = false;
  Stage stage_ = Stage::kIdle;
  /// Under way or sent, while its memory is kept from the compositor.
  std::shared_ptr<Picture> picture_;
  /// A newer picture than that waits in the source.
  bool pending_ = false;
  /// What changed in pictures that were not taken yet.
  Damage damage_;
  /// What changed in the one that is under way.
  Damage taken_;
  ResourceFrame frame_;
  ResourceGeometry geometry_;
  uint32_t surface_ = 0;
  std::vector<Announced> announced_;
  uint64_t last_pts_ = 0;
  Counters counters_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_DRM_RESOURCE_STREAM_H_
