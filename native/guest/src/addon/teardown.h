// SPDX-License-Identifier: Apache-2.0
// Ends threads before Node tears its environment down.
#ifndef SCANBRIDGE_GUEST_ADDON_TEARDOWN_H_
#define SCANBRIDGE_GUEST_ADDON_TEARDOWN_H_

#include <napi.h>

#include <functional>
#include <utility>

namespace scanbridge::guest {

/// Runs a function when the environment ends, unless this is destroyed before. Hooks run last-made
/// first, so one that is made after an EventSink ends its threads while the sink still works.
class Teardown {
 public:
  Teardown(Napi::Env env, std::function<void()> run) : env_(env), run_(std::move(run)) {
    napi_add_env_cleanup_hook(env_, &Teardown::Hook, this);
  }
  Teardown(const Teardown&) = delete;
  Teardown& operator=(const Teardown&) = delete;
  ~Teardown() {
    if (env_ != nullptr) napi_remove_env_cleanup_hook(env_, &Teardown::Hook, this);
  }

 private:
  static void Hook(void* self) {
    auto* teardown = static_cast<Teardown*>(self);
    teardown->env_ = nullptr;
    // It may destroy this object.
    const std::function<void()> run = std::move(teardown->run_);
    run();
  }

  napi_env env_;
  std::function<void()> run_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_TEARDOWN_H_
