// SPDX-License-Identifier: Apache-2.0
// A cast through org.freedesktop.portal.ScreenCast.
#ifndef SCANBRIDGE_GUEST_SCREENCAST_PORTAL_H_
#define SCANBRIDGE_GUEST_SCREENCAST_PORTAL_H_

#include <scanbridge/surface/unique_fd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "screencast/bus.h"
#include "screencast/failure.h"
#include "screencast/mutter.h"
#include "screencast/session_thread.h"

namespace scanbridge::guest {

struct PortalOptions {
  /// Empty: the session bus of the environment.
  std::string bus_address;
  /// The nearest mode that the portal has is used.
  CursorMode cursor = CursorMode::kMetadata;
  /// A window instead of a monitor.
  bool window = false;
  std::string restore_token;
  /// For the person at the desktop.
  std::chrono::milliseconds timeout{120000};
};

struct PortalStream {
  uint32_t node = 0;
  /// Logical pixels; 0: not told.
  int32_t width = 0;
  int32_t height = 0;
};

class PortalSession {
 public:
  /// Called in the session's thread.
  struct Events {
    std::function<void(std::vector<PortalStream>, std::string restore_token)> opened;
    std::function<void(uint32_t serial, UniqueFd fd)> remote;
    std::function<void(uint32_t serial, const Failure&)> remote_failed;
    /// Opening failed, or the session ended without Close.
    std::function<void(const Failure&)> closed;
    /// Nothing follows.
    std::function<void()> ended;
  };

  PortalSession(PortalOptions options, Events events);
  ~PortalSession();

  void Close() { thread_->Cancel(); }

  /// Opens a connection to PipeWire; `remote` or `remote_failed` follows, unless the session ends
  /// first.
  void OpenPipeWireRemote(uint32_t serial);

 private:
  struct Opened {
    std::vector<PortalStream> streams;
    std::string restore_token;
  };

  void Run(SessionThread& thread);
  /// Throws Failure.
  Opened Open(SessionThread& thread, Bus& bus);
  /// Calls a method that answers through a Request object. `build(token)` makes the arguments.
  /// Throws Failure.
  Variant Request(SessionThread& thread, Bus& bus, const char* method,
                  const std::function<GVariant*(const char* token)>& build,
                  SessionThread::Clock::time_point deadline);
  void OpenRemote(uint32_t serial);

  const PortalOptions options_;
  const Events events_;
  // In the thread only.
  Bus* bus_ = nullptr;
  std::string session_;
  bool closed_ = false;
  int requests_ = 0;
  std::unique_ptr<SessionThread> thread_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SCREENCAST_PORTAL_H_
