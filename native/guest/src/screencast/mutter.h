// SPDX-License-Identifier: Apache-2.0
// A cast of Mutter's private ScreenCast interface, with input through its RemoteDesktop interface.
#ifndef SCANBRIDGE_GUEST_SCREENCAST_MUTTER_H_
#define SCANBRIDGE_GUEST_SCREENCAST_MUTTER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "screencast/bus.h"
#include "screencast/failure.h"
#include "screencast/input.h"
#include "screencast/session_thread.h"

namespace scanbridge::guest {

/// Values of Mutter's cursor-mode.
enum class CursorMode : uint32_t { kHidden = 0, kEmbedded = 1, kMetadata = 2 };

struct MutterOptions {
  /// Empty: the session bus of the environment.
  std::string bus_address;
  /// Connector; empty: the primary monitor.
  std::string monitor;
  bool virtual_monitor = false;
  CursorMode cursor = CursorMode::kMetadata;
  bool input = false;
  std::chrono::milliseconds timeout{10000};
};

class MutterSession {
 public:
  /// Called in the session's thread.
  struct Events {
    std::function<void(uint32_t node)> opened;
    /// Opening failed, or the session ended without Close.
    std::function<void(const Failure&)> closed;
    /// Nothing follows.
    std::function<void()> ended;
  };

  /// Begins to open.
  MutterSession(MutterOptions options, Events events);
  /// Ends the session and waits for its thread, not in that thread.
  ~MutterSession();

  /// Ends the session; `ended` follows.
  void Close() { thread_->Cancel(); }

  /// Applies events in order without waiting; false when some were dropped because the desktop
  /// takes none.
  bool Input(std::vector<InputEvent> events);

 private:
  // Events given to the desktop that it has not answered. Above the first limit motion is dropped,
  // which the next motion makes up for; above the second everything, because the desktop hangs.
  static constexpr int kMotionLimit = 512;
  static constexpr int kLimit = 1024;

  void Run(SessionThread& thread);
  /// Returns the node. Throws Failure.
  uint32_t Open(SessionThread& thread, Bus& bus);
  std::string Record(Bus& bus, const std::string& session,
                     SessionThread::Clock::time_point deadline);
  void WakeKeyboard(SessionThread& thread, Bus& bus, SessionThread::Clock::time_point deadline);
  void Send(const std::vector<InputEvent>& events);

  const MutterOptions options_;
  const Events events_;
  std::atomic<int> under_way_{0};
  // In the thread only.
  Bus* bus_ = nullptr;
  std::string remote_session_;
  std::unique_ptr<MutterInput> input_;
  uint32_t node_ = 0;
  bool closed_ = false;
  std::unique_ptr<SessionThread> thread_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SCREENCAST_MUTTER_H_
