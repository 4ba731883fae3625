// SPDX-License-Identifier: Apache-2.0
#include "screencast/bus.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace scanbridge::guest {
namespace {

/// Takes what is in `error`.
std::string Words(GError* error) {
  if (error == nullptr) return "no reason given";
  g_dbus_error_strip_remote_error(error);
  std::string text = error->message;
  g_error_free(error);
  while (!text.empty() && (text.back() == '.' || text.back() == '\n')) text.pop_back();
  return text;
}

std::string DefaultAddress() {
  GError* error = nullptr;
  char* address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SESSION, nullptr, &error);
  if (address == nullptr) {
    throw Failure{FailureCode::kNoBus,
                  "There is no session bus: " + Words(error) +
                      ". Set DBUS_SESSION_BUS_ADDRESS, or name the desktop's bus."};
  }
  std::string text = address;
  g_free(address);
  return text;
}

}  // namespace

Bus::Bus(SessionThread& thread, const std::string& address)
    : thread_(thread), address_(address.empty() ? DefaultAddress() : address) {
  GError* error = nullptr;
  connection_ = g_dbus_connection_new_for_address_sync(
      address_.c_str(),
      static_cast<GDBusConnectionFlags>(G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                        G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION),
      nullptr, thread_.cancellable(), &error);
  if (connection_ == nullptr) {
    throw Failure{thread_.cancelled() ? FailureCode::kClosed : FailureCode::kNoBus,
                  "No message bus at " + address_ + ": " + Words(error) +
                      ". Is the desktop running, and does this user own it?"};
  }
  g_dbus_connection_set_exit_on_close(connection_, FALSE);
}

Bus::~Bus() {
  for (const Subscription& subscription : subscriptions_) {
    g_dbus_connection_signal_unsubscribe(connection_, subscription.id);
  }
  g_dbus_connection_close_sync(connection_, nullptr, nullptr);
  g_object_unref(connection_);
}

Variant Bus::Call(const Target& target, const char* method, GVariant* arguments, const char* reply,
                  SessionThread::Clock::time_point deadline) {
  GError* error = nullptr;
  GVariant* result = g_dbus_connection_call_sync(
      connection_, target.service.c_str(), target.path.c_str(), target.interface.c_str(), method,
      arguments, reply != nullptr ? G_VARIANT_TYPE(reply) : nullptr, G_DBUS_CALL_FLAGS_NONE,
      TimeLeft(deadline), thread_.cancellable(), &error);
  if (result == nullptr) throw Explain(target, method, error);
  return Variant(result);
}

Variant Bus::Get(const Target& target, const char* property,
                 SessionThread::Clock::time_point deadline) {
  const Target properties = {target.service, target.path, "org.freedesktop.DBus.Properties"};
  const Variant answer =
      Call(properties, "Get", g_variant_new("(ss)", target.interface.c_str(), property), "(v)",
           deadline);
  GVariant* value = nullptr;
  g_variant_get(answer.get(), "(v)", &value);
  return Variant(value);
}

void Bus::Subscribe(const Target& target, const char* name, std::function<void(GVariant*)> signal) {
  // A deque does not move its elements.
  Subscription& subscription = subscriptions_.emplace_back();
  subscription.signal = std::move(signal);
  subscription.id = g_dbus_connection_signal_subscribe(
      connection_, target.service.c_str(), target.interface.c_str(), name, target.path.c_str(),
      nullptr, G_DBUS_SIGNAL_FLAGS_NONE,
      [](GDBusConnection*, const char*, const char*, const char*, const char*, GVariant* arguments,
         gpointer data) { static_cast<Subscription*>(data)->signal(arguments); },
      &subscription, nullptr);
}

void Bus::OnVanished(std::string service, std::function<void()> vanished) {
  Subscribe({"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"},
            "NameOwnerChanged",
            [service = std::move(service), vanished = std::move(vanished)](GVariant* arguments) {
              const char* name = nullptr;
              const char* owner = nullptr;
              g_variant_get(arguments, "(&s&s&s)", &name, nullptr, &owner);
              if (name == service && *owner == '\0') vanished();
            });
}

Failure Bus::Explain(const Target& target, const char* method, GError* error) const {
  FailureCode code = FailureCode::kFailed;
  std::string advice;
  if (g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
      g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
      g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD) ||
      g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_INTERFACE)) {
    code = FailureCode::kNoService;
    advice = " Nobody offers " + target.interface + " on " + address_ +
             "; is the compositor running there?";
  } else if (g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED)) {
    code = FailureCode::kRefused;
  } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
             g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY)) {
    code = FailureCode::kTimeout;
    advice = " The desktop hangs, or waits for a person.";
  } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CLOSED) ||
             g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    code = FailureCode::kClosed;
  }
  return {code, target.service + " failed in " + method + ": " + Words(error) + "." + advice};
}

int TimeLeft(SessionThread::Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SessionThread::Clock::now());
  return static_cast<int>(
      std::clamp<int64_t>(left.count(), 1, std::numeric_limits<int>::max() - 1));
}

}  // namespace scanbridge::guest
