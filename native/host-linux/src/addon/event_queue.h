// SPDX-License-Identifier: Apache-2.0
// Carries events from native threads to a JavaScript function.
#ifndef SCANBRIDGE_HOST_ADDON_EVENT_QUEUE_H_
#define SCANBRIDGE_HOST_ADDON_EVENT_QUEUE_H_

#include <napi.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace scanbridge::host {

/// A queue of events and a call to JavaScript that empties it, at most one of which is under way.
/// The queue has no bound of its own: who pushes asks size() and stops (EventSink::Full), or merges
/// into the last event.
template <typename Event>
class EventQueue : public std::enable_shared_from_this<EventQueue<Event>> {
 public:
  using ToJs = Napi::Value (*)(Napi::Env env, Event& event);

  EventQueue(Napi::Env env, Napi::Function listener, const char* name, ToJs to_js)
      : to_js_(to_js), call_(Napi::ThreadSafeFunction::New(env, listener, name, 0, 1)) {}

  /// Called on the JavaScript thread after events were taken, before the listener sees them.
  std::function<void(const std::deque<Event>&)> on_taken;

  /// Of any thread. `merge` may put the event into the last one instead, and returns true then.
  void Push(Event event, bool (*merge)(Event& last, Event& event) = nullptr) {
    {
      const std::lock_guard lock(mutex_);
      if (merge == nullptr || events_.empty() || !merge(events_.back(), event)) {
        events_.push_back(std::move(event));
      }
      if (scheduled_) return;
      scheduled_ = true;
    }
    // A refusal means that the environment ends; nobody is left to be told.
    (void)call_.NonBlockingCall(
        [self = this->shared_from_this()](Napi::Env env, Napi::Function listener) {
          self->Deliver(env, listener);
        });
  }

  size_t size() const {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }

  /// Of the JavaScript thread, once: no event is delivered any more.
  void Close() {
    if (!std::exchange(closed_, true)) call_.Release();
  }

 private:
  void Deliver(Napi::Env env, Napi::Function listener) {
    std::deque<Event> events;
    {
      const std::lock_guard lock(mutex_);
      events.swap(events_);
      scheduled_ = false;
    }
    if (closed_ || env == nullptr) return;
    if (on_taken) on_taken(events);
    const Napi::HandleScope scope(env);
    Napi::Array batch = Napi::Array::New(env, events.size());
    uint32_t index = 0;
    for (Event& event : events) batch[index++] = to_js_(env, event);
    listener.Call({batch});
  }

  const ToJs to_js_;
  Napi::ThreadSafeFunction call_;
  mutable std::mutex mutex_;
  std::deque<Event> events_;
  bool scheduled_ = false;
  /// Of the JavaScript thread.
  bool closed_ = false;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ADDON_EVENT_QUEUE_H_
