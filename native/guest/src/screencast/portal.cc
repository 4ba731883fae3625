// SPDX-License-Identifier: Apache-2.0
#include "screencast/portal.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace scanbridge::guest {
namespace {

using std::chrono_literals::operator""s;
using Clock = SessionThread::Clock;

constexpr char kService[] = "org.freedesktop.portal.Desktop";
constexpr char kPath[] = "/org/freedesktop/portal/desktop";
constexpr char kInterface[] = "org.freedesktop.portal.ScreenCast";

// Bits of AvailableCursorModes and values of cursor_mode.
constexpr uint32_t kHidden = 1;
constexpr uint32_t kEmbedded = 2;
constexpr uint32_t kMetadata = 4;
// Bits of types.
constexpr uint32_t kMonitor = 1;
constexpr uint32_t kWindow = 2;
// persist_mode: until revoked.
constexpr uint32_t kPersist = 2;

Target Portal() {
  return {kService, kPath, kInterface};
}

uint32_t ChooseCursor(CursorMode wanted, uint32_t available) {
  const uint32_t order[3] = {wanted == CursorMode::kMetadata ? kMetadata
                             : wanted == CursorMode::kHidden ? kHidden
                                                             : kEmbedded,
                             wanted == CursorMode::kHidden ? 0 : kEmbedded, kHidden};
  for (const uint32_t mode : order) {
    if ((available & mode) != 0) return mode;
  }
  return kHidden;
}

/// ":1.42" as it stands in the paths of request objects.
std::string SenderInPath(const Bus& bus) {
  std::string name = g_dbus_connection_get_unique_name(bus.connection());
  name.erase(0, 1);
  std::ranges::replace(name, '.', '_');
  return name;
}

std::vector<PortalStream> ParseStreams(GVariant* results) {
  std::vector<PortalStream> streams;
  const Variant list(g_variant_lookup_value(results, "streams", G_VARIANT_TYPE("a(ua{sv})")));
  if (!list) return streams;
  GVariantIter iterator;
  g_variant_iter_init(&iterator, list.get());
  uint32_t node = 0;
  GVariant* properties = nullptr;
  while (g_variant_iter_next(&iterator, "(u@a{sv})", &node, &properties)) {
    const Variant owned(properties);
    PortalStream stream;
    stream.node = node;
    g_variant_lookup(properties, "size", "(ii)", &stream.width, &stream.height);
    streams.push_back(stream);
  }
  return streams;
}

}  // namespace

PortalSession::PortalSession(PortalOptions options, Events events)
    : options_(std::move(options)), events_(std::move(events)) {
  thread_ = std::make_unique<SessionThread>([this](SessionThread& thread) { Run(thread); });
}

PortalSession::~PortalSession() = default;

void PortalSession::OpenPipeWireRemote(uint32_t serial) {
  thread_->Invoke([this, serial] { OpenRemote(serial); });
}

void PortalSession::Run(SessionThread& thread) {
  try {
    Bus bus(thread, options_.bus_address);
    Opened opened = Open(thread, bus);
    bus_ = &bus;
    events_.opened(std::move(opened.streams), std::move(opened.restore_token));
    thread.RunUntil([&] { return closed_ || bus.closed(); });
    bus_ = nullptr;
    if (!thread.cancelled()) {
      events_.closed({FailureCode::kClosed, bus.closed() ? "The desktop's message bus went away."
                                                         : "The portal ended the cast."});
    }
  } catch (const Failure& failure) {
    events_.closed(failure);
  }
  events_.ended();
}

PortalSession::Opened PortalSession::Open(SessionThread& thread, Bus& bus) {
  const auto deadline = Clock::now() + options_.timeout;
  bus.OnVanished(kService, [this] { closed_ = true; });
  const Variant modes = bus.Get(Portal(), "AvailableCursorModes", deadline);
  const uint32_t cursor =
      ChooseCursor(options_.cursor, g_variant_is_of_type(modes.get(), G_VARIANT_TYPE_UINT32)
                                        ? g_variant_get_uint32(modes.get())
                                        : kHidden);
  const Variant created = Request(
      thread, bus, "CreateSession",
      [](const char* token) {
        GVariantDict options;
        g_variant_dict_init(&options, nullptr);
        g_variant_dict_insert(&options, "handle_token", "s", token);
        g_variant_dict_insert(&options, "session_handle_token", "s", token);
        return g_variant_new("(@a{sv})", g_variant_dict_end(&options));
      },
      deadline);
  const char* handle = nullptr;
  // A string in all released portals, although it is an object path.
  if (!g_variant_lookup(created.get(), "session_handle", "&s", &handle) &&
      !g_variant_lookup(created.get(), "session_handle", "&o", &handle)) {
    throw Failure{FailureCode::kFailed, "The portal made a session without a handle."};
  }
  session_ = handle;
  bus.Subscribe({kService, session_, "org.freedesktop.portal.Session"}, "Closed",
                [this](GVariant*) { closed_ = true; });
  Request(
      thread, bus, "SelectSources",
      [&](const char* token) {
        GVariantDict options;
        g_variant_dict_init(&options, nullptr);
        g_variant_dict_insert(&options, "handle_token", "s", token);
        g_variant_dict_insert(&options, "types", "u", options_.window ? kWindow : kMonitor);
        g_variant_dict_insert(&options, "multiple", "b", FALSE);
        g_variant_dict_insert(&options, "cursor_mode", "u", cursor);
        g_variant_dict_insert(&options, "persist_mode", "u", kPersist);
        if (!options_.restore_token.empty()) {
          g_variant_dict_insert(&options, "restore_token", "s", options_.restore_token.c_str());
        }
        return g_variant_new("(o@a{sv})", session_.c_str(), g_variant_dict_end(&options));
      },
      deadline);
  const Variant started = Request(
      thread, bus, "Start",
      [&](const char* token) {
        GVariantDict options;
        g_variant_dict_init(&options, nullptr);
        g_variant_dict_insert(&options, "handle_token", "s", token);
        return g_variant_new("(os@a{sv})", session_.c_str(), "", g_variant_dict_end(&options));
      },
      deadline);
  Opened opened;
  opened.streams = ParseStreams(started.get());
  if (opened.streams.empty()) {
    throw Failure{FailureCode::kFailed, "The portal started a cast without a stream."};
  }
  const char* token = nullptr;
  if (g_variant_lookup(started.get(), "restore_token", "&s", &token)) opened.restore_token = token;
  return opened;
}

Variant PortalSession::Request(SessionThread& thread, Bus& bus, const char* method,
                               const std::function<GVariant*(const char* token)>& build,
                               Clock::time_point deadline) {
  const std::string token =
      "scanbridge" + std::to_string(::getpid()) + "_" + std::to_string(++requests_);
  const Target request = {
      kService, "/org/freedesktop/portal/desktop/request/" + SenderInPath(bus) + "/" + token,
      "org.freedesktop.portal.Request"};
  // The subscription outlives this function, so what it fills does too.
  struct Response {
    bool there = false;
    uint32_t code = 0;
    Variant results;
  };
  auto response = std::make_shared<Response>();
  bus.Subscribe(request, "Response", [response](GVariant* arguments) {
    GVariant* results = nullptr;
    g_variant_get(arguments, "(u@a{sv})", &response->code, &results);
    response->results.reset(results);
    response->there = true;
  });
  bus.Call(Portal(), method, build(token.c_str()), "(o)", deadline);
  thread.RunUntil([&] { return response->there || closed_ || bus.closed(); }, deadline);
  const std::string where = std::string("The portal did not finish ") + method;
  if (thread.cancelled())
    throw Failure{FailureCode::kClosed, "The cast was closed while it opened."};
  if (!response->there) {
    if (closed_ || bus.closed()) throw Failure{FailureCode::kClosed, where + ": it went away."};
    throw Failure{FailureCode::kTimeout, where + " within " +
                                             std::to_string(options_.timeout.count()) +
                                             " ms; does its dialog wait for a person?"};
  }
  if (response->code == 1) {
    throw Failure{FailureCode::kRefused, "The person at the desktop did not allow the cast."};
  }
  if (response->code != 0) {
    throw Failure{FailureCode::kFailed, where + "; the portal's own log says why."};
  }
  return std::move(response->results);
}

void PortalSession::OpenRemote(uint32_t serial) {
  if (bus_ == nullptr) {
    return events_.remote_failed(serial, {FailureCode::kClosed, "The portal session has ended."});
  }
  GUnixFDList* fds = nullptr;
  GError* error = nullptr;
  GVariantDict none;
  g_variant_dict_init(&none, nullptr);
  const Variant answer(g_dbus_connection_call_with_unix_fd_list_sync(
      bus_->connection(), kService, kPath, kInterface, "OpenPipeWireRemote",
      g_variant_new("(o@a{sv})", session_.c_str(), g_variant_dict_end(&none)),
      G_VARIANT_TYPE("(h)"), G_DBUS_CALL_FLAGS_NONE, TimeLeft(Clock::now() + 10s), nullptr, &fds,
      thread_->cancellable(), &error));
  if (!answer) {
    return events_.remote_failed(serial, bus_->Explain(Portal(), "OpenPipeWireRemote", error));
  }
  int index = -1;
  g_variant_get(answer.get(), "(h)", &index);
  // A duplicate, close-on-exec; the list closes its own.
  UniqueFd fd(fds != nullptr ? g_unix_fd_list_get(fds, index, nullptr) : -1);
  if (fds != nullptr) g_object_unref(fds);
  if (!fd) {
    return events_.remote_failed(
        serial, {FailureCode::kFailed, "The portal answered without a descriptor."});
  }
  events_.remote(serial, std::move(fd));
}

}  // namespace scanbridge::guest
