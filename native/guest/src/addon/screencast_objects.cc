// SPDX-License-Identifier: Apache-2.0
#include "addon/screencast_objects.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace scanbridge::guest {
namespace {

const char* Name(FailureCode code) {
  switch (code) {
    case FailureCode::kNoBus:
      return "NO_BUS";
    case FailureCode::kNoService:
      return "NO_SERVICE";
    case FailureCode::kNoSuchMonitor:
      return "NO_SUCH_MONITOR";
    case FailureCode::kRefused:
      return "REFUSED";
    case FailureCode::kTimeout:
      return "TIMEOUT";
    case FailureCode::kClosed:
      return "CLOSED";
    case FailureCode::kFailed:
      return "FAILED";
  }
  return "FAILED";
}

std::string Text(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::String>().Utf8Value();
}

bool Flag(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::Boolean>().Value();
}

double Number(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::Number>().DoubleValue();
}

uint32_t Unsigned(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::Number>().Uint32Value();
}

CursorMode ReadCursor(const Napi::Object& options) {
  const std::string mode = Text(options, "cursor");
  return mode == "hidden"     ? CursorMode::kHidden
         : mode == "embedded" ? CursorMode::kEmbedded
                              : CursorMode::kMetadata;
}

std::chrono::milliseconds ReadTimeout(const Napi::Object& options) {
  return std::chrono::milliseconds(std::max(1u, Unsigned(options, "timeout")));
}

InputEvent ReadInput(const Napi::Object& event) {
  const std::string kind = Text(event, "kind");
  if (kind == "motion") return MotionEvent{Number(event, "x"), Number(event, "y")};
  if (kind == "button") return ButtonEvent{Unsigned(event, "code"), Flag(event, "pressed")};
  if (kind == "key") return KeyEvent{Unsigned(event, "code"), Flag(event, "pressed")};
  if (kind == "axis") {
    return AxisEvent{Number(event, "dx"), Number(event, "dy"), Flag(event, "discrete")};
  }
  if (kind == "touch") {
    const std::string phase = Text(event, "phase");
    return TouchEvent{Unsigned(event, "slot"),
                      phase == "down"     ? TouchEvent::Phase::kDown
                      : phase == "motion" ? TouchEvent::Phase::kMotion
                                          : TouchEvent::Phase::kUp,
                      Number(event, "x"), Number(event, "y")};
  }
  throw Napi::TypeError::New(event.Env(), "no such kind of input event: " + kind);
}

void EmitFailure(EventSink& sink, const char* type, const Failure& failure) {
  sink.Emit(type, [failure](Napi::Env, Napi::Object event) {
    event.Set("code", Name(failure.code));
    event.Set("message", failure.message);
  });
}

}  // namespace

void MutterObject::Define(Napi::Env env, Napi::Object exports) {
  exports.Set("Mutter", DefineClass(env, "Mutter",
                                    {
                                        InstanceMethod<&MutterObject::Input>("input"),
                                        InstanceMethod<&MutterObject::Close>("close"),
                                    }));
}

MutterObject::MutterObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const auto object = info[0].As<Napi::Object>();
  MutterOptions options;
  options.bus_address = Text(object, "busAddress");
  options.monitor = Text(object, "monitor");
  options.virtual_monitor = Flag(object, "virtual");
  options.cursor = ReadCursor(object);
  options.input = Flag(object, "input");
  options.timeout = ReadTimeout(object);
  events_ =
      std::make_shared<EventSink>(info.Env(), info[1].As<Napi::Function>(), "scanbridge-mutter");
  MutterSession::Events events;
  events.opened = [sink = events_](uint32_t node) {
    sink->Emit("open", [node](Napi::Env, Napi::Object event) { event.Set("nodeId", node); });
  };
  events.closed = [sink = events_](const Failure& failure) {
    EmitFailure(*sink, "closed", failure);
  };
  events.ended = [this, sink = events_] {
    sink->Emit("end", [this](Napi::Env, Napi::Object) { Shut(); });
  };
  Ref();
  session_ = std::make_unique<MutterSession>(std::move(options), std::move(events));
  teardown_ = std::make_unique<Teardown>(info.Env(), [this] { Shut(); });
}

Napi::Value MutterObject::Input(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<InputEvent> events;
  for (uint32_t i = 0; i < list.Length(); i++) {
    events.push_back(ReadInput(list.Get(i).As<Napi::Object>()));
  }
  return Napi::Boolean::New(info.Env(), session_ && session_->Input(std::move(events)));
}

Napi::Value MutterObject::Close(const Napi::CallbackInfo& info) {
  if (session_) session_->Close();
  return info.Env().Undefined();
}

void MutterObject::Shut() {
  if (!session_) return;
  session_.reset();
  events_.reset();
  teardown_.reset();
  Unref();
}

void PortalObject::Define(Napi::Env env, Napi::Object exports) {
  exports.Set(
      "Portal",
      DefineClass(env, "Portal",
                  {
                      InstanceMethod<&PortalObject::OpenPipeWireRemote>("openPipeWireRemote"),
                      InstanceMethod<&PortalObject::Close>("close"),
                  }));
}

PortalObject::PortalObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const auto object = info[0].As<Napi::Object>();
  PortalOptions options;
  options.bus_address = Text(object, "busAddress");
  options.cursor = ReadCursor(object);
  options.window = Flag(object, "window");
  options.restore_token = Text(object, "restoreToken");
  options.timeout = ReadTimeout(object);
  events_ =
      std::make_shared<EventSink>(info.Env(), info[1].As<Napi::Function>(), "scanbridge-portal");
  PortalSession::Events events;
  events.opened = [sink = events_](std::vector<PortalStream> streams, std::string token) {
    sink->Emit("open", [streams = std::move(streams), token = std::move(token)](
                           Napi::Env env, Napi::Object event) {
      Napi::Array list = Napi::Array::New(env);
      for (const PortalStream& stream : streams) {
        Napi::Object entry = Napi::Object::New(env);
        entry.Set("nodeId", stream.node);
        entry.Set("width", stream.width);
        entry.Set("height", stream.height);
        list.Set(list.Length(), entry);
      }
      event.Set("streams", list);
      event.Set("restoreToken", token);
    });
  };
  events.remote = [sink = events_](uint32_t serial, UniqueFd fd) {
    // Shared, because std::function copies; JavaScript takes it, or it is closed with the event.
    auto owned = std::make_shared<UniqueFd>(std::move(fd));
    sink->Emit("remote", [serial, owned](Napi::Env, Napi::Object event) {
      event.Set("serial", serial);
      event.Set("fd", owned->release());
    });
  };
  events.remote_failed = [sink = events_](uint32_t serial, const Failure& failure) {
    sink->Emit("remote-failed", [serial, failure](Napi::Env, Napi::Object event) {
      event.Set("serial", serial);
      event.Set("code", Name(failure.code));
      event.Set("message", failure.message);
    });
  };
  events.closed = [sink = events_](const Failure& failure) {
    EmitFailure(*sink, "closed", failure);
  };
  events.ended = [this, sink = events_] {
    sink->Emit("end", [this](Napi::Env, Napi::Object) { Shut(); });
  };
  Ref();
  session_ = std::make_unique<PortalSession>(std::move(options), std::move(events));
  teardown_ = std::make_unique<Teardown>(info.Env(), [this] { Shut(); });
}

Napi::Value PortalObject::OpenPipeWireRemote(const Napi::CallbackInfo& info) {
  if (session_) session_->OpenPipeWireRemote(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

Napi::Value PortalObject::Close(const Napi::CallbackInfo& info) {
  if (session_) session_->Close();
  return info.Env().Undefined();
}

void PortalObject::Shut() {
  if (!session_) return;
  session_.reset();
  events_.reset();
  teardown_.reset();
  Unref();
}

}  // namespace scanbridge::guest
