// SPDX-License-Identifier: Apache-2.0
// Calls a JavaScript function from other threads.
#ifndef SCANBRIDGE_GUEST_ADDON_EVENT_SINK_H_
#define SCANBRIDGE_GUEST_ADDON_EVENT_SINK_H_

#include <napi.h>

#include <functional>
#include <memory>
#include <utility>

namespace scanbridge::guest {

/// Keeps Node's event loop alive while it exists. Events are few (states, errors), never one for a
/// frame, so its queue needs no bound.
class EventSink {
 public:
  using Fill = std::function<void(Napi::Env, Napi::Object)>;

  EventSink(Napi::Env env, Napi::Function listener, const char* name)
      : call_(Napi::ThreadSafeFunction::New(env, listener, name, 0, 1)) {}
  EventSink(const EventSink&) = delete;
  EventSink& operator=(const EventSink&) = delete;
  ~EventSink() { call_.Release(); }

  /// Queues an event `{type, ...}`; `fill` adds the other properties in JavaScript's thread. From
  /// any thread.
  void Emit(const char* type, Fill fill = nullptr) {
    auto* event = new Event{type, std::move(fill)};
    const napi_status status =
        call_.NonBlockingCall(event, [](Napi::Env env, Napi::Function listener, Event* raw) {
          const std::unique_ptr<Event> taken(raw);
          if (env == nullptr) return;
          const Napi::HandleScope scope(env);
          Napi::Object object = Napi::Object::New(env);
          object.Set("type", taken->type);
          if (taken->fill) taken->fill(env, object);
          listener.Call({object});
        });
    if (status != napi_ok) delete event;
  }

 private:
  struct Event {
    const char* type;
    Fill fill;
  };

  Napi::ThreadSafeFunction call_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_EVENT_SINK_H_
