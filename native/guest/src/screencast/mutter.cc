// SPDX-License-Identifier: Apache-2.0
#include "screencast/mutter.h"

#include <linux/input-event-codes.h>

#include <utility>

namespace scanbridge::guest {
namespace {

using std::chrono_literals::operator""ms;
using Clock = SessionThread::Clock;

constexpr char kCastService[] = "org.gnome.Mutter.ScreenCast";
constexpr char kCastPath[] = "/org/gnome/Mutter/ScreenCast";
constexpr char kRemoteService[] = "org.gnome.Mutter.RemoteDesktop";
constexpr char kRemotePath[] = "/org/gnome/Mutter/RemoteDesktop";

// Mutter loses the keys that come before its new virtual keyboard is known to its clients.
constexpr auto kKeyboardDelay = 50ms;

std::string ObjectPath(const Variant& answer) {
  const char* path = nullptr;
  g_variant_get(answer.get(), "(&o)", &path);
  return path;
}

Target CastSession(const std::string& path) {
  return {kCastService, path, "org.gnome.Mutter.ScreenCast.Session"};
}

Target RemoteSession(const std::string& path) {
  return {kRemoteService, path, "org.gnome.Mutter.RemoteDesktop.Session"};
}

}  // namespace

MutterSession::MutterSession(MutterOptions options, Events events)
    : options_(std::move(options)), events_(std::move(events)) {
  thread_ = std::make_unique<SessionThread>([this](SessionThread& thread) { Run(thread); });
}

MutterSession::~MutterSession() = default;

bool MutterSession::Input(std::vector<InputEvent> events) {
  const size_t asked = events.size();
  const int under_way = under_way_.load();
  if (under_way + static_cast<int>(asked) > kLimit) {
    events.clear();
  } else if (under_way + static_cast<int>(asked) > kMotionLimit) {
    std::erase_if(events,
                  [](const InputEvent& e) { return std::holds_alternative<MotionEvent>(e); });
  }
  const bool all = events.size() == asked;
  if (events.empty()) return all;
  under_way_ += static_cast<int>(events.size());
  thread_->Invoke([this, events = std::move(events)] {
    Send(events);
    under_way_ -= static_cast<int>(events.size());
  });
  return all;
}

void MutterSession::Run(SessionThread& thread) {
  try {
    Bus bus(thread, options_.bus_address);
    const uint32_t node = Open(thread, bus);
    bus_ = &bus;
    events_.opened(node);
    thread.RunUntil([&] { return closed_ || bus.closed(); });
    bus_ = nullptr;
    if (!thread.cancelled()) {
      events_.closed({FailureCode::kClosed,
                      bus.closed()
                          ? "The desktop's message bus went away."
                          : "Mutter ended the cast: the monitor is gone, or the compositor "
                            "is shutting down."});
    }
    // The answers of input calls refer to this object.
    thread.RunUntil([&] { return under_way_ == 0; }, Clock::now() + 100ms);
  } catch (const Failure& failure) {
    events_.closed(failure);
  }
  events_.ended();
}

uint32_t MutterSession::Open(SessionThread& thread, Bus& bus) {
  const auto deadline = Clock::now() + options_.timeout;
  const Target cast = {kCastService, kCastPath, kCastService};
  GVariantDict properties;
  g_variant_dict_init(&properties, nullptr);
  if (options_.input) {
    const Target remote = {kRemoteService, kRemotePath, kRemoteService};
    remote_session_ = ObjectPath(bus.Call(remote, "CreateSession", nullptr, "(o)", deadline));
    const Variant id = bus.Get(RemoteSession(remote_session_), "SessionId", deadline);
    g_variant_dict_insert_value(&properties, "remote-desktop-session-id", id.get());
  }
  const std::string session = ObjectPath(
      bus.Call(cast, "CreateSession", g_variant_new("(@a{sv})", g_variant_dict_end(&properties)),
               "(o)", deadline));
  const std::string stream = Record(bus, session, deadline);
  bus.Subscribe({kCastService, stream, "org.gnome.Mutter.ScreenCast.Stream"}, "PipeWireStreamAdded",
                [this](GVariant* arguments) { g_variant_get(arguments, "(u)", &node_); });
  const auto closed = [this](GVariant*) { closed_ = true; };
  bus.Subscribe(CastSession(session), "Closed", closed);
  bus.OnVanished(kCastService, [this] { closed_ = true; });
  if (options_.input) {
    bus.Subscribe(RemoteSession(remote_session_), "Closed", closed);
    bus.Call(RemoteSession(remote_session_), "Start", nullptr, nullptr, deadline);
    input_ = std::make_unique<MutterInput>(stream);
  } else {
    bus.Call(CastSession(session), "Start", nullptr, nullptr, deadline);
  }
  thread.RunUntil([this] { return node_ != 0 || closed_; }, deadline);
  if (thread.cancelled())
    throw Failure{FailureCode::kClosed, "The cast was closed while it opened."};
  if (closed_) throw Failure{FailureCode::kClosed, "Mutter ended the cast while it opened."};
  if (node_ == 0) {
    throw Failure{FailureCode::kTimeout, "Mutter named no PipeWire node within " +
                                             std::to_string(options_.timeout.count()) +
                                             " ms; does PipeWire run in the desktop's session?"};
  }
  if (options_.input) WakeKeyboard(thread, bus, deadline);
  return node_;
}

std::string MutterSession::Record(Bus& bus, const std::string& session,
                                  Clock::time_point deadline) {
  GVariantDict properties;
  g_variant_dict_init(&properties, nullptr);
  g_variant_dict_insert(&properties, "cursor-mode", "u", static_cast<uint32_t>(options_.cursor));
  GVariant* wanted = g_variant_dict_end(&properties);
  if (options_.virtual_monitor) {
    return ObjectPath(bus.Call(CastSession(session), "RecordVirtual",
                               g_variant_new("(@a{sv})", wanted), "(o)", deadline));
  }
  try {
    return ObjectPath(bus.Call(CastSession(session), "RecordMonitor",
                               g_variant_new("(s@a{sv})", options_.monitor.c_str(), wanted), "(o)",
                               deadline));
  } catch (const Failure& failure) {
    // Mutter has no error of its own for this.
    if (failure.code != FailureCode::kFailed) throw;
    throw Failure{FailureCode::kNoSuchMonitor,
                  options_.monitor.empty()
                      ? "The desktop has no monitor; give mutter --virtual-monitor, or record a "
                        "virtual one."
                      : "The desktop has no monitor \"" + options_.monitor + "\"."};
  }
}

void MutterSession::WakeKeyboard(SessionThread& thread, Bus& bus, Clock::time_point deadline) {
  // A key that does nothing by itself is lost in place of the person's first one.
  for (const bool pressed : {true, false}) {
    for (const InputCall& call : input_->Translate(KeyEvent{KEY_LEFTSHIFT, pressed})) {
      bus.Call(RemoteSession(remote_session_), call.method, call.arguments, nullptr, deadline);
    }
  }
  thread.RunUntil([] { return false; }, Clock::now() + kKeyboardDelay);
}

void MutterSession::Send(const std::vector<InputEvent>& events) {
  if (bus_ == nullptr || !input_) return;
  for (const InputEvent& event : events) {
    for (const InputCall& call : input_->Translate(event)) {
      under_way_++;
      g_dbus_connection_call(
          bus_->connection(), kRemoteService, remote_session_.c_str(),
          "org.gnome.Mutter.RemoteDesktop.Session", call.method, call.arguments, nullptr,
          G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, nullptr,
          [](GObject* source, GAsyncResult* result, gpointer self) {
            // Mutter refuses a button that is pressed twice and the like; that harms nobody.
            GVariant* answer =
                g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, nullptr);
            if (answer != nullptr) g_variant_unref(answer);
            static_cast<MutterSession*>(self)->under_way_--;
          },
          this);
    }
  }
}

}  // namespace scanbridge::guest
