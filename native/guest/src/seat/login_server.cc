// SPDX-License-Identifier: Apache-2.0
#include "seat/login_server.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

#include "seat/login_interfaces.h"

namespace scanbridge::guest {
namespace {

constexpr char kName[] = "org.freedesktop.login1";
constexpr char kManagerPath[] = "/org/freedesktop/login1";
constexpr char kSeatPath[] = "/org/freedesktop/login1/seat/seat0";
constexpr char kUserPath[] = "/org/freedesktop/login1/user/self";
constexpr char kManager[] = "org.freedesktop.login1.Manager";
constexpr char kSession[] = "org.freedesktop.login1.Session";
constexpr char kSeat[] = "org.freedesktop.login1.Seat";
constexpr char kUser[] = "org.freedesktop.login1.User";
constexpr char kDenied[] = "org.freedesktop.DBus.Error.AccessDenied";
constexpr char kNotSupported[] = "org.freedesktop.DBus.Error.NotSupported";
/// Calls of TakeDevice that may wait at once; a compositor makes one after the other.
constexpr size_t kMaxTaking = 64;
/// How long the bus may take to answer [ms].
constexpr int kBusTimeout = 5000;
/// How long the end of the connection may take [ms].
constexpr guint kCloseTimeout = 1000;
/// Reply of RequestName: DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER.
constexpr uint32_t kPrimaryOwner = 1;
/// DBUS_NAME_FLAG_DO_NOT_QUEUE
constexpr uint32_t kDoNotQueue = 4;

struct NodeInfoDeleter {
  void operator()(GDBusNodeInfo* info) const { g_dbus_node_info_unref(info); }
};

/// As systemd escapes ids in object paths: what is no letter or digit becomes _xx, as does a
/// leading digit.
std::string EscapedPath(const std::string& prefix, const std::string& id) {
  std::string path = prefix;
  for (size_t i = 0; i < id.size(); i++) {
    const auto c = static_cast<unsigned char>(id[i]);
    if (std::isalpha(c) != 0 || (i > 0 && std::isdigit(c) != 0)) {
      path += static_cast<char>(c);
      continue;
    }
    std::array<char, 4> text{};
    (void)snprintf(text.data(), text.size(), "_%02x", c);
    path += text.data();
  }
  return path;
}

void ReturnNothing(GDBusMethodInvocation* invocation) {
  g_dbus_method_invocation_return_value(invocation, nullptr);
}

void ReturnDescriptor(GDBusMethodInvocation* invocation, const UniqueFd& fd, GVariant* (*make)()) {
  GUnixFDList* list = g_unix_fd_list_new();
  GError* error = nullptr;
  if (g_unix_fd_list_append(list, fd.get(), &error) < 0) {
    g_dbus_method_invocation_take_error(invocation, error);
  } else {
    g_dbus_method_invocation_return_value_with_unix_fd_list(invocation, make(), list);
  }
  g_object_unref(list);
}

}  // namespace

LoginServer::LoginServer(LoginOptions options, LoginEvents events)
    : options_(std::move(options)),
      events_(std::move(events)),
      session_path_(EscapedPath("/org/freedesktop/login1/session/", options_.session)),
      thread_([this](SessionThread& thread) { Run(thread); }) {}

LoginServer::~LoginServer() = default;

void LoginServer::Run(SessionThread& thread) {
  GError* error = nullptr;
  const auto flags =
      static_cast<GDBusConnectionFlags>(G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                        G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION);
  connection_ = g_dbus_connection_new_for_address_sync(options_.address.c_str(), flags, nullptr,
                                                       thread.cancellable(), &error);
  if (connection_ == nullptr) {
    const std::string reason = error->message;
    g_error_free(error);
    events_.ended("cannot join the bus: " + reason);
    return;
  }
  g_dbus_connection_set_exit_on_close(connection_, FALSE);
  std::string failure;
  const guint watch = g_dbus_connection_signal_subscribe(
      connection_, "org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged", nullptr,
      nullptr, G_DBUS_SIGNAL_FLAGS_NONE,
      [](GDBusConnection*, const char*, const char*, const char*, const char*, GVariant* arguments,
         gpointer self) {
        const char *name = nullptr, *before = nullptr, *after = nullptr;
        g_variant_get(arguments, "(&s&s&s)", &name, &before, &after);
        auto* server = static_cast<LoginServer*>(self);
        if (*after == '\0' && server->controller_ == name) server->LoseControl();
      },
      this, nullptr);
  const gulong closed = g_signal_connect(
      connection_, "closed", G_CALLBACK(+[](GDBusConnection*, gboolean, GError*, gpointer self) {
        static_cast<LoginServer*>(self)->lost_ = true;
      }),
      this);
  if (Register(connection_, failure)) {
    controller_ = options_.controller;
    if (!controller_.empty() && PidOf(controller_.c_str()) != options_.controller_pid)
      LoseControl();
    events_.ready();
    thread.RunUntil([this] { return lost_; });
    if (!thread.cancelled()) failure = "the bus has ended";
  }
  g_dbus_connection_signal_unsubscribe(connection_, watch);
  for (const auto& [serial, invocation] : taking_) {
    g_dbus_method_invocation_return_dbus_error(invocation, kDenied, "the seat has ended");
  }
  taking_.clear();
  LoseControl();
  for (const guint object : objects_) g_dbus_connection_unregister_object(connection_, object);
  objects_.clear();
  g_dbus_connection_close_sync(connection_, nullptr, nullptr);
  // GDBus tells of the end, and frees what was registered, in this thread's context; what waits
  // there holds the connection, which holds the context.
  GMainContext* context = g_main_context_get_thread_default();
  GSource* limit = g_timeout_source_new(kCloseTimeout);
  bool late = false;
  g_source_set_callback(
      limit,
      [](gpointer flag) {
        *static_cast<bool*>(flag) = true;
        return G_SOURCE_REMOVE;
      },
      &late, nullptr);
  g_source_attach(limit, context);
  while (!lost_ && !late) g_main_context_iteration(context, TRUE);
  g_source_destroy(limit);
  g_source_unref(limit);
  g_signal_handler_disconnect(connection_, closed);
  g_object_unref(connection_);
  connection_ = nullptr;
  while (g_main_context_iteration(context, FALSE) != FALSE) {
  }
  events_.ended(failure);
}

bool LoginServer::Register(GDBusConnection* connection, std::string& failure) {
  static const GDBusInterfaceVTable kTable = {
      [](GDBusConnection*, const char* sender, const char*, const char* interface,
         const char* method, GVariant* arguments, GDBusMethodInvocation* invocation,
         gpointer self) {
        static_cast<LoginServer*>(self)->Call(interface, method, sender, arguments, invocation);
      },
      [](GDBusConnection*, const char*, const char*, const char* interface, const char* name,
         GError** error, gpointer self) -> GVariant* {
        GVariant* value = static_cast<LoginServer*>(self)->Property(interface, name);
        if (value == nullptr) {
          g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_PROPERTY, "no property %s", name);
        }
        return value;
      },
      nullptr,
      {}};
  GError* error = nullptr;
  const std::unique_ptr<GDBusNodeInfo, NodeInfoDeleter> info(
      g_dbus_node_info_new_for_xml(kLoginInterfaces, &error));
  const std::array<std::pair<const char*, const char*>, 6> objects = {{
      {kManagerPath, kManager},
      {session_path_.c_str(), kSession},
      {"/org/freedesktop/login1/session/auto", kSession},
      {"/org/freedesktop/login1/session/self", kSession},
      {kSeatPath, kSeat},
      {kUserPath, kUser},
  }};
  for (const auto& [path, interface] : objects) {
    if (error != nullptr) break;
    const guint id = g_dbus_connection_register_object(
        connection, path, g_dbus_node_info_lookup_interface(info.get(), interface), &kTable, this,
        nullptr, &error);
    if (id != 0) objects_.push_back(id);
  }
  GVariant* reply = nullptr;
  if (error == nullptr) {
    reply = g_dbus_connection_call_sync(
        connection, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "RequestName", g_variant_new("(su)", kName, kDoNotQueue), G_VARIANT_TYPE("(u)"),
        G_DBUS_CALL_FLAGS_NONE, kBusTimeout, nullptr, &error);
  }
  if (error != nullptr) {
    failure = error->message;
    g_error_free(error);
    return false;
  }
  uint32_t result = 0;
  g_variant_get(reply, "(u)", &result);
  g_variant_unref(reply);
  if (result != kPrimaryOwner) failure = "another program is logind on this bus";
  return result == kPrimaryOwner;
}

void LoginServer::Call(const char* interface, const char* method, const char* sender,
                       GVariant* arguments, GDBusMethodInvocation* invocation) {
  const std::string_view name = interface;
  if (name == kManager) return CallManager(method, invocation);
  if (name == kSession) return CallSession(method, sender, arguments, invocation);
  // Of a seat there is SwitchTo only: there are no virtual terminals.
  g_dbus_method_invocation_return_dbus_error(invocation, kNotSupported,
                                             "this seat has one session");
}

void LoginServer::CallManager(const char* method, GDBusMethodInvocation* invocation) {
  const std::string_view name = method;
  if (name == "GetSession" || name == "GetSessionByPID") {
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(o)", session_path_.c_str()));
  } else if (name == "GetUser") {
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(o)", kUserPath));
  } else if (name == "GetSeat") {
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(o)", kSeatPath));
  } else if (name == "ListSeats") {
    g_dbus_method_invocation_return_value(invocation,
                                          g_variant_new_parsed("([('seat0', %o)],)", kSeatPath));
  } else if (name == "ListSessions") {
    g_dbus_method_invocation_return_value(
        invocation,
        g_variant_new_parsed("([(%s, %u, 'user', 'seat0', %o)],)", options_.session.c_str(),
                             options_.uid, session_path_.c_str()));
  } else if (name == "Inhibit") {
    // The inhibitor lasts until its descriptor is closed. Nothing here sleeps or shuts down.
    const UniqueFd nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
    ReturnDescriptor(invocation, nothing, [] { return g_variant_new("(h)", 0); });
  } else {
    // The Can... methods: a container's desktop has no power button.
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(s)", "na"));
  }
}

void LoginServer::CallSession(const char* method, const char* sender, GVariant* arguments,
                              GDBusMethodInvocation* invocation) {
  const std::string_view name = method;
  if (name == "TakeControl") {
    if (!controller_.empty() && controller_ != sender) {
      g_dbus_method_invocation_return_dbus_error(invocation, "System.Error.EBUSY",
                                                 "another program controls the session");
      return;
    }
    controller_ = sender;
    events_.control(controller_, PidOf(sender));
    return ReturnNothing(invocation);
  }
  const bool for_controller = name == "ReleaseControl" || name == "TakeDevice" ||
                              name == "ReleaseDevice" || name == "PauseDeviceComplete";
  if (for_controller && controller_ != sender) {
    g_dbus_method_invocation_return_dbus_error(invocation, kDenied,
                                               "take control of the session first");
    return;
  }
  if (name == "TakeDevice") return Take(arguments, invocation);
  if (name == "ReleaseControl") {
    LoseControl();
  } else if (name == "ReleaseDevice") {
    uint32_t major = 0, minor = 0;
    g_variant_get(arguments, "(uu)", &major, &minor);
    events_.give_back(major, minor);
  } else if (name == "SetBrightness") {
    g_dbus_method_invocation_return_dbus_error(invocation, kNotSupported, "there is no backlight");
    return;
  }
  // The others are hints that nobody here reads.
  ReturnNothing(invocation);
}

void LoginServer::Take(GVariant* arguments, GDBusMethodInvocation* invocation) {
  if (taking_.size() >= kMaxTaking) {
    g_dbus_method_invocation_return_dbus_error(
        invocation, "org.freedesktop.DBus.Error.LimitsExceeded", "too many devices at once");
    return;
  }
  uint32_t major = 0, minor = 0;
  g_variant_get(arguments, "(uu)", &major, &minor);
  const uint32_t serial = next_serial_++;
  taking_.emplace(serial, invocation);
  events_.take(serial, major, minor);
}

void LoginServer::Answer(uint32_t serial, UniqueFd device, const std::string& refusal) {
  // std::function copies what it holds.
  auto shared = std::make_shared<UniqueFd>(std::move(device));
  thread_.Invoke([this, serial, shared, refusal] {
    const auto found = taking_.find(serial);
    if (found == taking_.end()) return;
    GDBusMethodInvocation* invocation = found->second;
    taking_.erase(found);
    if (!*shared) {
      g_dbus_method_invocation_return_dbus_error(invocation, kDenied, refusal.c_str());
      return;
    }
    ReturnDescriptor(invocation, *shared, [] { return g_variant_new("(hb)", 0, FALSE); });
    shared->reset();
  });
}

GVariant* LoginServer::Property(const char* interface, const char* name) const {
  const std::string_view of = interface, property = name;
  const char* session = options_.session.c_str();
  if (property == "Id") return g_variant_new_string(of == kSeat ? "seat0" : session);
  if (property == "User") return g_variant_new("(uo)", options_.uid, kUserPath);
  if (property == "UID") return g_variant_new_uint32(options_.uid);
  if (property == "Name") return g_variant_new_string(std::to_string(options_.uid).c_str());
  if (property == "Seat") return g_variant_new("(so)", "seat0", kSeatPath);
  if (property == "VTNr") return g_variant_new_uint32(0);
  if (property == "Type") return g_variant_new_string("wayland");
  if (property == "Class") return g_variant_new_string("user");
  if (property == "State") return g_variant_new_string("active");
  if (property == "ActiveSession" || property == "Display") {
    return g_variant_new("(so)", session, session_path_.c_str());
  }
  if (property == "Sessions") {
    return g_variant_new_parsed("[(%s, %o)]", session, session_path_.c_str());
  }
  // All others are flags.
  return g_variant_new_boolean(property == "Active" || property == "CanGraphical" ||
                               property == "OnExternalPower");
}

void LoginServer::LoseControl() {
  if (controller_.empty()) return;
  controller_.clear();
  events_.control_lost();
}

uint32_t LoginServer::PidOf(const char* sender) const {
  GVariant* reply = g_dbus_connection_call_sync(
      connection_, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
      "GetConnectionUnixProcessID", g_variant_new("(s)", sender), G_VARIANT_TYPE("(u)"),
      G_DBUS_CALL_FLAGS_NONE, kBusTimeout, nullptr, nullptr);
  if (reply == nullptr) return 0;
  uint32_t pid = 0;
  g_variant_get(reply, "(u)", &pid);
  g_variant_unref(reply);
  return pid;
}

}  // namespace scanbridge::guest
