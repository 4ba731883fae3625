// SPDX-License-Identifier: Apache-2.0
#include "pipewire/node_watch.h"

#include <spa/utils/string.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace scanbridge::guest {

NodeWatch::NodeWatch(pw_core* core, uint32_t node, Events events)
    : node_(node), events_(std::move(events)) {
  registry_ = pw_core_get_registry(core, PW_VERSION_REGISTRY, 0);
  if (registry_ == nullptr) {
    throw std::system_error(errno, std::generic_category(), "no PipeWire registry");
  }
  static const pw_registry_events kEvents = [] {
    pw_registry_events e{};
    e.version = PW_VERSION_REGISTRY_EVENTS;
    e.global = [](void* self, uint32_t id, uint32_t, const char* type, uint32_t,
                  const spa_dict* properties) {
      static_cast<NodeWatch*>(self)->OnGlobal(id, type, properties);
    };
    e.global_remove = [](void* self, uint32_t id) {
      static_cast<NodeWatch*>(self)->OnGlobalRemove(id);
    };
    return e;
  }();
  pw_registry_add_listener(registry_, &registry_hook_, &kEvents, this);
}

NodeWatch::~NodeWatch() {
  DropLink();
  spa_hook_remove(&registry_hook_);
  pw_proxy_destroy(reinterpret_cast<pw_proxy*>(registry_));
}

void NodeWatch::OnGlobal(uint32_t id, const char* type, const spa_dict* properties) {
  if (id == node_ && spa_streq(type, PW_TYPE_INTERFACE_Node)) {
    found_ = true;
    const char* serial =
        properties != nullptr ? spa_dict_lookup(properties, PW_KEY_OBJECT_SERIAL) : nullptr;
    serial_ = serial != nullptr ? serial : "";
    return;
  }
  if (link_ != nullptr || consumer_ == PW_ID_ANY || properties == nullptr ||
      !spa_streq(type, PW_TYPE_INTERFACE_Link)) {
    return;
  }
  uint32_t input = PW_ID_ANY;
  if (!spa_atou32(spa_dict_lookup(properties, PW_KEY_LINK_INPUT_NODE), &input, 10) ||
      input != consumer_) {
    return;
  }
  link_ = static_cast<pw_proxy*>(
      pw_registry_bind(registry_, id, PW_TYPE_INTERFACE_Link, PW_VERSION_LINK, 0));
  if (link_ == nullptr) return;
  link_id_ = id;
  static const pw_link_events kEvents = [] {
    pw_link_events e{};
    e.version = PW_VERSION_LINK_EVENTS;
    e.info = [](void* self, const pw_link_info* info) {
      static_cast<NodeWatch*>(self)->OnLinkInfo(info);
    };
    return e;
  }();
  pw_link_add_listener(reinterpret_cast<pw_link*>(link_), &link_hook_, &kEvents, this);
}

void NodeWatch::OnGlobalRemove(uint32_t id) {
  if (id == link_id_) DropLink();
  if (id == node_ && std::exchange(found_, false)) events_.removed();
}

void NodeWatch::OnLinkInfo(const pw_link_info* info) {
  if (info->state != PW_LINK_STATE_ERROR) return;
  events_.link_failed(info->error != nullptr ? info->error : "no reason given");
}

void NodeWatch::DropLink() {
  if (link_ == nullptr) return;
  spa_hook_remove(&link_hook_);
  pw_proxy_destroy(link_);
  link_ = nullptr;
  link_id_ = PW_ID_ANY;
}

}  // namespace scanbridge::guest
