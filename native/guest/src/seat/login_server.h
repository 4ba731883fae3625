// SPDX-License-Identifier: Apache-2.0
// A stand-in for systemd-logind on a private message bus: as much of org.freedesktop.login1 as a
// compositor needs to take its devices (Mutter, GNOME Shell; libseat's logind backend). There is
// one user, one session and one seat, always active.
#ifndef SCANBRIDGE_GUEST_SEAT_LOGIN_SERVER_H_
#define SCANBRIDGE_GUEST_SEAT_LOGIN_SERVER_H_

#include <gio/gio.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "scanbridge/surface/unique_fd.h"
#include "screencast/session_thread.h"

namespace scanbridge::guest {

struct LoginOptions {
  /// Of the bus; this process may own org.freedesktop.login1 there, and others may not.
  std::string address;
  /// Of the session, [a-zA-Z0-9-].
  std::string session;
  uint32_t uid = 0;
  /// Unique name on the bus, and process, of who controlled the session when a server before this
  /// one ended; or empty.
  std::string controller;
  uint32_t controller_pid = 0;
};

/// Called in the server's thread.
struct LoginEvents {
  /// The name is owned: clients may come.
  std::function<void()> ready;
  /// Somebody has taken control of the session.
  std::function<void(const std::string& name, uint32_t pid)> control;
  /// The controller wants a device; answered by Answer(serial, ...).
  std::function<void(uint32_t serial, uint32_t major, uint32_t minor)> take;
  std::function<void(uint32_t major, uint32_t minor)> give_back;
  /// The controller has let go of the session, or has left the bus: it has no devices any more.
  std::function<void()> control_lost;
  /// Nothing comes after it.
  std::function<void(const std::string& reason)> ended;
};

class LoginServer {
 public:
  LoginServer(LoginOptions options, LoginEvents events);
  LoginServer(const LoginServer&) = delete;
  LoginServer& operator=(const LoginServer&) = delete;
  /// Leaves the bus; waits for its thread.
  ~LoginServer();

  /// From any thread: answers a `take` with the device, or (empty) with why not.
  void Answer(uint32_t serial, UniqueFd device, const std::string& refusal);

 private:
  void Run(SessionThread& thread);
  bool Register(GDBusConnection* connection, std::string& failure);
  void Call(const char* interface, const char* method, const char* sender, GVariant* arguments,
            GDBusMethodInvocation* invocation);
  void CallManager(const char* method, GDBusMethodInvocation* invocation);
  void CallSession(const char* method, const char* sender, GVariant* arguments,
                   GDBusMethodInvocation* invocation);
  GVariant* Property(const char* interface, const char* name) const;
  void Take(GVariant* arguments, GDBusMethodInvocation* invocation);
  void LoseControl();
  /// Process id of a connection of the bus; 0 when it has gone.
  uint32_t PidOf(const char* sender) const;

  const LoginOptions options_;
  const LoginEvents events_;
  const std::string session_path_;
  GDBusConnection* connection_ = nullptr;
  bool lost_ = false;
  std::vector<guint> objects_;
  std::string controller_;
  uint32_t next_serial_ = 1;
  /// Calls of TakeDevice that wait for an answer.
  std::map<uint32_t, GDBusMethodInvocation*> taking_;
  // Last: its thread uses the others.
  SessionThread thread_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SEAT_LOGIN_SERVER_H_
