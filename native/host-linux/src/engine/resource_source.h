// SPDX-License-Identifier: Apache-2.0
// Pictures that a guest names by the ids of its resources.
//
// Each resource of the feed has a stream at the exporter. A frame that is shown is asked for with
// REFRESH, read when the answer comes, and reported as released then. Pictures that the exporter
// sends unasked are released unread: only the guest knows when a picture is complete. One frame is
// under way; a newer one takes its place.
#ifndef SCANBRIDGE_HOST_ENGINE_RESOURCE_SOURCE_H_
#define SCANBRIDGE_HOST_ENGINE_RESOURCE_SOURCE_H_

#include <map>
#include <memory>
#include <string>

#include "engine/events.h"
#include "engine/frame_source.h"
#include "engine/resource_feed.h"
#include "surface/surface_client.h"

namespace scanbridge::host {

struct ResourceTarget {
  std::string socket;
};

class ResourceSource final : public FrameSource, private SurfaceObserver {
 public:
  /// `feed` and `sink` outlive the source.
  ResourceSource(ResourceTarget target, ResourceFeed& feed, EventSink& sink)
      : target_(std::move(target)), feed_(feed), sink_(sink) {}

  std::optional<EngineError> Open() override;
  int fd() const override { return client_->fd(); }
  bool wants_write() const override { return client_->wants_write(); }
  bool has_buffered() const override { return client_->has_buffered(); }
  uint64_t wake_at() const override;
  std::optional<End> Dispatch(SourceObserver& observer) override;
  const PendingFrame* pending() const override { return pending_ ? &*pending_ : nullptr; }
  bool Take(const std::function<void(const PixelView&)>& read) override;

 private:
  struct Resource {
    ResourceLayout layout;
    uint64_t version = 0;
    /// 0: not subscribed (yet, or it was refused).
    uint32_t stream = 0;
    bool refused = false;
    /// The exporter has a picture of it: before that it would not heed a REFRESH.
    bool present = false;
    /// What changed on the desktop since this resource was refreshed; empty: nothing did.
    std::optional<sb_rect> stale;
  };
  /// A frame that waits for its pixels.
  struct Wanted {
    ShownFrame frame;
    /// Of the REFRESH; 0: not asked yet.
    uint32_t serial = 0;
    /// When it was asked last [ns].
    uint64_t asked_at = 0;
  };

  void TakeChanges();
  void Subscribe();
  void AskForWanted();
  void Forget(std::map<uint32_t, Resource>::iterator resource);
  void Refuse(uint32_t stream, const EngineError& error);
  void DropFramesOf(uint32_t resource);
  void Release(uint32_t token);
  std::map<uint32_t, Resource>::iterator OfStream(uint32_t stream);

  void OnHello(const sb_hello_reply& hello) override;
  void OnAnswer(const SurfaceAnswer& answer) override;
  void OnFrame(const SurfaceFrame& frame) override;
  void OnCursor(uint32_t, const sb_cursor&, std::span<const uint8_t>) override {}
  void OnReset(uint32_t stream, sb_reset_reason reason) override;
  void OnState(uint32_t stream, sb_stream_state state) override;
  void OnStreamEnd(uint32_t stream, const std::optional<EngineError>& error) override;

  const ResourceTarget target_;
  ResourceFeed& feed_;
  EventSink& sink_;
  std::unique_ptr<SurfaceClient> client_;
  bool greeted_ = false;
  std::map<uint32_t, Resource> resources_;
  std::optional<Wanted> wanted_;
  /// Of the frame that is pending, or was taken last.
  SurfaceFrame frame_;
  ShownFrame shown_;
  std::optional<PendingFrame> pending_;
  /// What changed since a picture was taken; empty: nothing did.
  std::optional<sb_rect> changed_;
  uint64_t replaced_ = 0;
  uint64_t last_pts_ = 0;
  std::optional<End> end_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_RESOURCE_SOURCE_H_
