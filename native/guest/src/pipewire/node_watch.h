// SPDX-License-Identifier: Apache-2.0
// Follows one node, and the links of one consumer, through PipeWire's registry.
#ifndef SCANBRIDGE_GUEST_PIPEWIRE_NODE_WATCH_H_
#define SCANBRIDGE_GUEST_PIPEWIRE_NODE_WATCH_H_

#include <pipewire/pipewire.h>

#include <cstdint>
#include <functional>
#include <string>

namespace scanbridge::guest {

class NodeWatch {
 public:
  struct Events {
    /// The node is gone.
    std::function<void()> removed;
    /// PipeWire could not negotiate a link to the consumer; its words.
    std::function<void(std::string)> link_failed;
  };

  /// Lives no longer than `core`. Throws std::system_error.
  NodeWatch(pw_core* core, uint32_t node, Events events);
  NodeWatch(const NodeWatch&) = delete;
  NodeWatch& operator=(const NodeWatch&) = delete;
  ~NodeWatch();

  /// Whether the registry has named the node so far.
  bool found() const { return found_; }
  /// Its object.serial, which unlike the id is never used again; empty when not known.
  const std::string& serial() const { return serial_; }
  /// Whether a session manager has linked the consumer to anything.
  bool linked() const { return link_ != nullptr; }
  /// The consumer whose links are followed.
  void SetConsumer(uint32_t node) { consumer_ = node; }

 private:
  void OnGlobal(uint32_t id, const char* type, const spa_dict* properties);
  void OnGlobalRemove(uint32_t id);
  void OnLinkInfo(const pw_link_info* info);
  void DropLink();

  const uint32_t node_;
  const Events events_;
  pw_registry* registry_;
  spa_hook registry_hook_{};
  pw_proxy* link_ = nullptr;
  uint32_t link_id_ = PW_ID_ANY;
  spa_hook link_hook_{};
  uint32_t consumer_ = PW_ID_ANY;
  bool found_ = false;
  std::string serial_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_PIPEWIRE_NODE_WATCH_H_
