// SPDX-License-Identifier: Apache-2.0
// A private connection to a message bus, for sessions that live as long as their connection.
#ifndef SCANBRIDGE_GUEST_SCREENCAST_BUS_H_
#define SCANBRIDGE_GUEST_SCREENCAST_BUS_H_

#include <gio/gio.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "screencast/failure.h"
#include "screencast/session_thread.h"

namespace scanbridge::guest {

struct VariantDeleter {
  void operator()(GVariant* variant) const { g_variant_unref(variant); }
};
using Variant = std::unique_ptr<GVariant, VariantDeleter>;

/// Where a method is.
struct Target {
  std::string service;
  std::string path;
  std::string interface;
};

/// Used in the thread that made it.
class Bus {
 public:
  /// `address`: empty for the session bus of the environment. Throws Failure.
  Bus(SessionThread& thread, const std::string& address);
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;
  /// Closes the connection, and with it every session that was opened on it.
  ~Bus();

  GDBusConnection* connection() const { return connection_; }
  const std::string& address() const { return address_; }
  /// Whether the bus has closed the connection.
  bool closed() const { return g_dbus_connection_is_closed(connection_) != FALSE; }

  /// Calls and waits. `arguments` may be floating or nullptr; `reply` is the type of the answer, or
  /// nullptr. Throws Failure.
  Variant Call(const Target& target, const char* method, GVariant* arguments, const char* reply,
               SessionThread::Clock::time_point deadline);

  /// Reads a property; throws Failure.
  Variant Get(const Target& target, const char* property,
              SessionThread::Clock::time_point deadline);

  /// Calls `signal(arguments)` for each signal until the bus goes.
  void Subscribe(const Target& target, const char* name, std::function<void(GVariant*)> signal);

  /// Calls `vanished` when a service loses its owner: one that dies says nothing, the bus does.
  void OnVanished(std::string service, std::function<void()> vanished);

  /// What went wrong in a call, in words; frees `error`.
  Failure Explain(const Target& target, const char* method, GError* error) const;

 private:
  struct Subscription {
    guint id = 0;
    std::function<void(GVariant*)> signal;
  };

  SessionThread& thread_;
  std::string address_;
  GDBusConnection* connection_ = nullptr;
  std::deque<Subscription> subscriptions_;
};

/// Milliseconds until `deadline`, at least 1, for GDBus.
int TimeLeft(SessionThread::Clock::time_point deadline);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SCREENCAST_BUS_H_
