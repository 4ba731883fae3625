// SPDX-License-Identifier: Apache-2.0
#include "addon/client_events.h"

#include "addon/to_js.h"

namespace scanbridge::host {
namespace {

Napi::Object Event(Napi::Env env, const char* type) {
  Napi::Object object = Napi::Object::New(env);
  object["type"] = type;
  return object;
}

Napi::Object StreamEvent(Napi::Env env, const char* type, uint32_t stream) {
  Napi::Object object = Event(env, type);
  object["stream"] = static_cast<double>(stream);
  return object;
}

double Number(uint64_t value) {
  return static_cast<double>(value);
}

Napi::Object RectToJs(Napi::Env env, const sb_rect& rect) {
  Napi::Object object = Napi::Object::New(env);
  object["x"] = Number(rect.x);
  object["y"] = Number(rect.y);
  object["width"] = Number(rect.width);
  object["height"] = Number(rect.height);
  return object;
}

/// The hello is the answer to serial 0.
Napi::Value EventToJs(Napi::Env env, const sb_hello_reply& hello) {
  Napi::Object object = Event(env, "answer");
  object["serial"] = 0.0;
  object["versionMajor"] = Number(hello.version_major);
  object["versionMinor"] = Number(hello.version_minor);
  object["capabilities"] = Napi::BigInt::New(env, uint64_t{hello.capabilities});
  object["scanoutCount"] = Number(hello.scanout_count);
  object["maxStreams"] = Number(hello.max_streams);
  object["name"] = std::string(surface::Text(hello.name));
  return object;
}

Napi::Value EventToJs(Napi::Env env, const SurfaceAnswer& answer) {
  Napi::Object object = Event(env, "answer");
  object["serial"] = Number(answer.serial);
  if (answer.error) object["error"] = ToJs(env, *answer.error);
  return object;
}

Napi::Value EventToJs(Napi::Env env, const sb_scanout_info& info) {
  Napi::Object object = Event(env, "scanout-info");
  object["scanout"] = Number(info.scanout);
  object["enabled"] = (info.flags & SB_SCANOUT_FLAG_ENABLED) != 0;
  object["active"] = (info.flags & SB_SCANOUT_FLAG_ACTIVE) != 0;
  object["width"] = Number(info.width);
  object["height"] = Number(info.height);
  object["preferredWidth"] = Number(info.preferred_width);
  object["preferredHeight"] = Number(info.preferred_height);
  object["refresh"] = Number(info.refresh);
  object["generation"] = Number(info.generation);
  return object;
}

Napi::Value EventToJs(Napi::Env env, const sb_surface& surface) {
  Napi::Object object = StreamEvent(env, "surface", surface.header.stream);
  object["surface"] = Number(surface.surface);
  object["kind"] = surface.kind == SB_SURFACE_KIND_DMABUF ? "dmabuf" : "memfd";
  object["width"] = Number(surface.width);
  object["height"] = Number(surface.height);
  object["format"] = Number(surface.format);
  object["modifier"] = Napi::BigInt::New(env, uint64_t{surface.modifier});
  object["flags"] = Number(surface.flags);
  Napi::Array planes = Napi::Array::New(env, surface.plane_count);
  for (uint32_t i = 0; i < surface.plane_count; i++) {
    Napi::Object plane = Napi::Object::New(env);
    plane["offset"] = Napi::BigInt::New(env, uint64_t{surface.planes[i].offset});
    plane["size"] = Napi::BigInt::New(env, uint64_t{surface.planes[i].size});
    plane["stride"] = Number(surface.planes[i].stride);
    planes[i] = plane;
  }
  object["planes"] = planes;
  return object;
}

Napi::Value EventToJs(Napi::Env env, const SurfaceGone& gone) {
  Napi::Object object = StreamEvent(env, "surface-gone", gone.stream);
  object["surface"] = Number(gone.surface);
  return object;
}

Napi::Value EventToJs(Napi::Env env, const SurfaceFrame& frame) {
  Napi::Object object = StreamEvent(env, "frame", frame.stream);
  object["surface"] = Number(frame.surface);
  object["sequence"] = Napi::BigInt::New(env, frame.sequence);
  object["pts"] = Napi::BigInt::New(env, frame.pts);
  object["receivedAt"] = Napi::BigInt::New(env, frame.received_at);
  object["discontinuity"] = frame.discontinuity;
  object["crop"] = RectToJs(env, frame.crop);
  Napi::Array damage = Napi::Array::New(env, frame.damage_count);
  for (uint32_t i = 0; i < frame.damage_count; i++) damage[i] = RectToJs(env, frame.damage[i]);
  object["damage"] = damage;
  return object;
}

Napi::Value EventToJs(Napi::Env env, const StreamCursor& event) {
  Napi::Object object = StreamEvent(env, "cursor", event.stream);
  CursorToJs(env, object, event.cursor);
  return object;
}

Napi::Value EventToJs(Napi::Env env, const StreamReset& event) {
  Napi::Object object = StreamEvent(env, "reset", event.stream);
  object["reason"] = NameOf(event.reason);
  return object;
}

Napi::Value EventToJs(Napi::Env env, const StreamState& event) {
  Napi::Object object = StreamEvent(env, "state", event.stream);
  object["state"] = event.state == SB_STREAM_STATE_ACTIVE  ? "active"
                    : event.state == SB_STREAM_STATE_BLANK ? "blank"
                                                           : "waiting";
  return object;
}

Napi::Value EventToJs(Napi::Env env, const StreamEnd& event) {
  Napi::Object object = StreamEvent(env, "stream-end", event.stream);
  if (event.error) object["error"] = ToJs(env, *event.error);
  return object;
}

Napi::Value EventToJs(Napi::Env env, const EndEvent& event) {
  Napi::Object object = Event(env, "end");
  if (event.error) object["error"] = ToJs(env, *event.error);
  return object;
}

}  // namespace

Napi::Value ClientEventToJs(Napi::Env env, ClientEvent& event) {
  return std::visit([&](const auto& e) { return EventToJs(env, e); }, event);
}

}  // namespace scanbridge::host
