// SPDX-License-Identifier: Apache-2.0
// What the owner of an engine knows of a guest's resources, handed over to the engine's thread.
#ifndef SCANBRIDGE_HOST_ENGINE_RESOURCE_FEED_H_
#define SCANBRIDGE_HOST_ENGINE_RESOURCE_FEED_H_

#include <scanbridge/surface.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace scanbridge::host {

/// A resource that holds pictures.
struct ResourceLayout {
  /// Needs no header and no flags.
  sb_subscribe_resource request{};
  /// The newest pixels are in the guest's memory: drawn there, and not transferred.
  bool backing = false;
};

/// A picture in a resource that is to be encoded.
struct ShownFrame {
  /// By which its owner knows it: comes back in a ReleasedEvent, once.
  uint32_t token = 0;
  uint32_t resource = 0;
  /// When it was complete, in MonotonicNow()'s time [ns].
  uint64_t pts = 0;
  /// What changed since the frame that was shown before; empty: all of it.
  std::optional<sb_rect> damage;
};

/// The resources there should be, and the newest frame: a state, not a queue, so that its size is
/// bounded whatever the guest does. Used by any thread.
class ResourceFeed {
 public:
  struct Resource {
    ResourceLayout layout;
    /// Grows with each Add: tells a resource from another one with the same id.
    uint64_t version = 0;
  };
  struct Change {
    std::map<uint32_t, Resource> resources;
    std::optional<ShownFrame> frame;
  };

  /// False: there are SB_MAX_STREAMS of them.
  bool Add(const ResourceLayout& layout) {
    const std::lock_guard lock(mutex_);
    const uint32_t id = layout.request.resource;
    if (resources_.size() == SB_MAX_STREAMS && !resources_.contains(id)) return false;
    resources_[id] = {layout, ++version_};
    changed_ = true;
    return true;
  }
  void Remove(uint32_t id) {
    const std::lock_guard lock(mutex_);
    changed_ = resources_.erase(id) > 0 || changed_;
  }
  /// Returns the frame that this one replaces before the engine has seen it.
  std::optional<ShownFrame> Show(ShownFrame frame) {
    const std::lock_guard lock(mutex_);
    changed_ = true;
    std::optional<ShownFrame> replaced = std::exchange(frame_, frame);
    // What the lost frame changed has changed for the next one, too; a union is not worth its code.
    if (replaced) frame_->damage.reset();
    return replaced;
  }

  /// Empty: nothing has changed since the last call. A frame is given out once.
  std::optional<Change> Take() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(changed_, false)) return std::nullopt;
    return Change{resources_, std::exchange(frame_, std::nullopt)};
  }

 private:
  std::mutex mutex_;
  std::map<uint32_t, Resource> resources_;
  std::optional<ShownFrame> frame_;
  uint64_t version_ = 0;
  bool changed_ = false;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_RESOURCE_FEED_H_
