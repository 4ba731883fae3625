// SPDX-License-Identifier: Apache-2.0
// A fake: the backend half of a portal, which in a desktop shows the dialog and makes the cast. It
// stands behind the real xdg-desktop-portal, asks nobody, and gives every cast the PipeWire node
// that it was started with.
//   portal-backend NODE WIDTH HEIGHT [refuse]
// Says {"event":"ready"} when it is on the bus, and {"event":"selected",...} or {"event":"closed"}
// as calls arrive.
#include <gio/gio.h>
#include <glib-unix.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

constexpr char kName[] = "org.freedesktop.impl.portal.desktop.scanbridge";
constexpr char kPath[] = "/org/freedesktop/portal/desktop";
// What the person in front of the desktop answers.
constexpr uint32_t kAllowed = 0;
constexpr uint32_t kCancelled = 1;

constexpr char kInterfaces[] = R"(
<node>
  <interface name='org.freedesktop.impl.portal.ScreenCast'>
    <method name='CreateSession'>
      <arg type='o' direction='in'/><arg type='o' direction='in'/><arg type='s' direction='in'/>
      <arg type='a{sv}' direction='in'/><arg type='u' direction='out'/><arg type='a{sv}' direction='out'/>
    </method>
    <method name='SelectSources'>
      <arg type='o' direction='in'/><arg type='o' direction='in'/><arg type='s' direction='in'/>
      <arg type='a{sv}' direction='in'/><arg type='u' direction='out'/><arg type='a{sv}' direction='out'/>
    </method>
    <method name='Start'>
      <arg type='o' direction='in'/><arg type='o' direction='in'/><arg type='s' direction='in'/>
      <arg type='s' direction='in'/><arg type='a{sv}' direction='in'/>
      <arg type='u' direction='out'/><arg type='a{sv}' direction='out'/>
    </method>
    <property name='AvailableSourceTypes' type='u' access='read'/>
    <property name='AvailableCursorModes' type='u' access='read'/>
    <property name='version' type='u' access='read'/>
  </interface>
  <interface name='org.freedesktop.impl.portal.Session'>
    <method name='Close'/>
    <signal name='Closed'/>
    <property name='version' type='u' access='read'/>
  </interface>
</node>)";

struct Backend {
  uint32_t node;
  int width;
  int height;
  bool refuse;
  GMainLoop* loop;
  GDBusNodeInfo* interfaces;
};

void Say(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

GVariant* Property(GDBusConnection*, const char*, const char*, const char*, const char* name,
                   GError**, gpointer) {
  const std::string_view property = name;
  if (property == "AvailableSourceTypes") return g_variant_new_uint32(1 | 2);
  if (property == "AvailableCursorModes") return g_variant_new_uint32(1 | 2 | 4);
  return g_variant_new_uint32(4);
}

void OnSessionCall(GDBusConnection*, const char*, const char*, const char*, const char*, GVariant*,
                   GDBusMethodInvocation* call, gpointer) {
  Say("{\"event\":\"closed\"}");
  g_dbus_method_invocation_return_value(call, nullptr);
}

GVariant* Streams(const Backend& backend) {
  GVariantDict properties;
  g_variant_dict_init(&properties, nullptr);
  g_variant_dict_insert(&properties, "size", "(ii)", backend.width, backend.height);
  g_variant_dict_insert(&properties, "source_type", "u", 1U);
  GVariantBuilder streams;
  g_variant_builder_init(&streams, G_VARIANT_TYPE("a(ua{sv})"));
  g_variant_builder_add(&streams, "(u@a{sv})", backend.node, g_variant_dict_end(&properties));
  return g_variant_builder_end(&streams);
}

void OnCastCall(GDBusConnection* bus, const char*, const char*, const char*, const char* name,
                GVariant* arguments, GDBusMethodInvocation* call, gpointer self) {
  const auto& backend = *static_cast<const Backend*>(self);
  const std::string_view method = name;
  GVariantDict results;
  g_variant_dict_init(&results, nullptr);
  uint32_t response = kAllowed;
  if (method == "CreateSession") {
    static const GDBusInterfaceVTable session_calls = {OnSessionCall, Property, nullptr, {}};
    const char* session = nullptr;
    g_variant_get_child(arguments, 1, "&o", &session);
    g_dbus_connection_register_object(
        bus, session,
        g_dbus_node_info_lookup_interface(backend.interfaces,
                                          "org.freedesktop.impl.portal.Session"),
        &session_calls, self, nullptr, nullptr);
  } else if (method == "SelectSources") {
    GVariant* options = g_variant_get_child_value(arguments, 3);
    uint32_t types = 0;
    uint32_t cursor = 0;
    g_variant_lookup(options, "types", "u", &types);
    g_variant_lookup(options, "cursor_mode", "u", &cursor);
    g_variant_unref(options);
    char line[96];
    std::snprintf(line, sizeof line, "{\"event\":\"selected\",\"types\":%u,\"cursorMode\":%u}",
                  types, cursor);
    Say(line);
  } else if (backend.refuse) {
    response = kCancelled;
  } else {
    g_variant_dict_insert_value(&results, "streams", Streams(backend));
  }
  g_dbus_method_invocation_return_value(
      call, g_variant_new("(u@a{sv})", response, g_variant_dict_end(&results)));
}

void OnBus(GDBusConnection* bus, const char*, gpointer self) {
  static const GDBusInterfaceVTable cast_calls = {OnCastCall, Property, nullptr, {}};
  const auto& backend = *static_cast<Backend*>(self);
  GError* error = nullptr;
  g_dbus_connection_register_object(
      bus, kPath,
      g_dbus_node_info_lookup_interface(backend.interfaces,
                                        "org.freedesktop.impl.portal.ScreenCast"),
      &cast_calls, self, nullptr, &error);
  if (error != nullptr) g_error("portal-backend: %s", error->message);
}

void OnName(GDBusConnection*, const char*, gpointer) {
  Say("{\"event\":\"ready\"}");
}

void OnLost(GDBusConnection*, const char*, gpointer self) {
  g_main_loop_quit(static_cast<Backend*>(self)->loop);
}

gboolean OnTerm(gpointer loop) {
  g_main_loop_quit(static_cast<GMainLoop*>(loop));
  return G_SOURCE_CONTINUE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: portal-backend NODE WIDTH HEIGHT [refuse]\n", stderr);
    return 2;
  }
  Backend backend = {static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)),
                     std::atoi(argv[2]),
                     std::atoi(argv[3]),
                     argc > 4 && std::string_view(argv[4]) == "refuse",
                     g_main_loop_new(nullptr, FALSE),
                     g_dbus_node_info_new_for_xml(kInterfaces, nullptr)};
  g_unix_signal_add(SIGTERM, OnTerm, backend.loop);
  const guint name = g_bus_own_name(G_BUS_TYPE_SESSION, kName, G_BUS_NAME_OWNER_FLAGS_NONE, OnBus,
                                    OnName, OnLost, &backend, nullptr);
  g_main_loop_run(backend.loop);
  g_bus_unown_name(name);
  g_dbus_node_info_unref(backend.interfaces);
  g_main_loop_unref(backend.loop);
  return 0;
}
