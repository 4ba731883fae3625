// SPDX-License-Identifier: Apache-2.0
// A thread with a GMainContext of its own, for one D-Bus session.
//
// GDBus delivers signals to the context that was the thread's default when they were subscribed; a
// thread of its own makes opening a session linear code that may wait, without anyone else waiting
// with it.
#ifndef SCANBRIDGE_GUEST_SCREENCAST_SESSION_THREAD_H_
#define SCANBRIDGE_GUEST_SCREENCAST_SESSION_THREAD_H_

#include <gio/gio.h>

#include <chrono>
#include <functional>
#include <thread>

namespace scanbridge::guest {

class SessionThread {
 public:
  using Clock = std::chrono::steady_clock;

  /// `body` runs in the thread and returns soon after cancelled() is true.
  explicit SessionThread(std::function<void(SessionThread&)> body);
  SessionThread(const SessionThread&) = delete;
  SessionThread& operator=(const SessionThread&) = delete;
  /// Cancels, and waits for `body`.
  ~SessionThread();

  // From any thread.

  void Cancel();
  bool cancelled() const { return g_cancellable_is_cancelled(cancellable_) != FALSE; }
  /// Runs `task` in the thread, in the order of the calls, while it waits in RunUntil; never after
  /// `body`.
  void Invoke(std::function<void()> task);

  // In the thread.

  GCancellable* cancellable() const { return cancellable_; }
  /// Handles signals and tasks until `done()` is true (true), the deadline passed, or Cancel
  /// (false).
  bool RunUntil(const std::function<bool()>& done,
                Clock::time_point deadline = Clock::time_point::max());

 private:
  GMainContext* context_;
  GCancellable* cancellable_;
  std::thread thread_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SCREENCAST_SESSION_THREAD_H_
