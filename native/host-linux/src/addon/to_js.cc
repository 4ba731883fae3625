// SPDX-License-Identifier: Apache-2.0
#include "addon/to_js.h"

namespace scanbridge::host {
namespace {

Napi::Object Event(Napi::Env env, const char* type) {
  Napi::Object object = Napi::Object::New(env);
  object["type"] = type;
  return object;
}

double Number(uint64_t value) {
  return static_cast<double>(value);
}

const char* StateName(EngineState state) {
  switch (state) {
    case EngineState::kStarting:
      return "starting";
    case EngineState::kLive:
      return "live";
    case EngineState::kBlank:
      return "blank";
    case EngineState::kWaiting:
      return "waiting";
  }
  return "";
}

Napi::Value VideoToJs(Napi::Env env, VideoEvent& video) {
  Napi::Object event = Event(env, "video");
  // The memory becomes the Buffer's, without a copy.
  event["message"] = Napi::Buffer<uint8_t>::New(env, video.message.release(), video.size,
                                                [](Napi::Env, uint8_t* data) { std::free(data); });
  return event;
}

/// What the conversion makes of a desktop's sRGB: samples of limited range, BT.601 (libyuv) or
/// BT.709 (GPUs). An encoder that cannot write it into its VUI (openh264enc) encodes the same
/// samples, so it is said for all.
Napi::Object ColorSpaceToJs(Napi::Env env, bool bt709) {
  Napi::Object space = Napi::Object::New(env);
  space["primaries"] = "bt709";
  space["transfer"] = "iec61966-2-1";
  space["matrix"] = bt709 ? "bt709" : "smpte170m";
  space["fullRange"] = Napi::Boolean::New(env, false);
  return space;
}

Napi::Value ConfigToJs(Napi::Env env, const ConfigEvent& config) {
  Napi::Object fields = Napi::Object::New(env);
  fields["id"] = Number(config.id);
  fields["codec"] = config.codec;
  fields["width"] = Number(config.width);
  fields["height"] = Number(config.height);
  fields["codedWidth"] = Number(config.coded_width);
  fields["codedHeight"] = Number(config.coded_height);
  fields["colorSpace"] = ColorSpaceToJs(env, config.bt709);
  Napi::Object event = Event(env, "config");
  event["config"] = fields;
  return event;
}

Napi::Value StateToJs(Napi::Env env, const StateEvent& state) {
  Napi::Object fields = Napi::Object::New(env);
  fields["state"] = StateName(state.state);
  if (state.reset) fields["reset"] = NameOf(*state.reset);
  Napi::Object event = Event(env, "state");
  event["state"] = fields;
  return event;
}

Napi::Value ChosenToJs(Napi::Env env, const ChosenEvent& chosen) {
  Napi::Array tried = Napi::Array::New(env, chosen.tried.size());
  for (uint32_t i = 0; i < chosen.tried.size(); i++) {
    Napi::Object path = Napi::Object::New(env);
    path["engine"] = chosen.tried[i].engine;
    path["path"] = chosen.tried[i].path;
    path["reason"] = chosen.tried[i].reason;
    tried[i] = path;
  }
  Napi::Object fields = Napi::Object::New(env);
  fields["engine"] = chosen.engine;
  fields["path"] = chosen.path;
  fields["codec"] = chosen.codec;
  fields["hardware"] = chosen.hardware;
  fields["tried"] = tried;
  Napi::Object event = Event(env, "chosen");
  event["chosen"] = fields;
  return event;
}

Napi::Object ToJs(Napi::Env env, const PercentileSet& set) {
  Napi::Object object = Napi::Object::New(env);
  object["p50"] = Number(set.p50);
  object["p95"] = Number(set.p95);
  object["p99"] = Number(set.p99);
  return object;
}

template <typename... Functions>
struct Overload : Functions... {
  using Functions::operator()...;
};

uint32_t U32(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::Number>().Uint32Value();
}

uint64_t U64(const Napi::Object& object, const char* name) {
  bool lossless = true;
  return object.Get(name).As<Napi::BigInt>().Uint64Value(&lossless);
}

std::string Text(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::String>().Utf8Value();
}

}  // namespace

const char* NameOf(sb_reset_reason reason) {
  switch (reason) {
    case SB_RESET_REASON_GUEST_RESET:
      return "guest-reset";
    case SB_RESET_REASON_RENEGOTIATED:
      return "renegotiated";
    case SB_RESET_REASON_SOURCE_LOST:
      return "source-lost";
  }
  return "";
}

Napi::Object ToJs(Napi::Env env, const EngineError& error) {
  Napi::Object object = Napi::Object::New(env);
  object["code"] = error.code;
  object["message"] = error.message;
  object["remedy"] = error.remedy;
  if (!error.element.empty()) object["element"] = error.element;
  if (!error.debug.empty()) object["debug"] = error.debug;
  return object;
}

void CursorToJs(Napi::Env env, Napi::Object into, const CursorEvent& cursor) {
  into["visible"] = cursor.visible;
  into["x"] = static_cast<double>(cursor.x);
  into["y"] = static_cast<double>(cursor.y);
  if (!cursor.shape) return;
  Napi::Object shape = Napi::Object::New(env);
  shape["hotX"] = Number(cursor.shape->hot_x);
  shape["hotY"] = Number(cursor.shape->hot_y);
  shape["width"] = Number(cursor.shape->width);
  shape["height"] = Number(cursor.shape->height);
  shape["pixels"] =
      Napi::Buffer<uint8_t>::Copy(env, cursor.shape->pixels.data(), cursor.shape->pixels.size());
  into["shape"] = shape;
}

Napi::Value EngineEventToJs(Napi::Env env, EngineEvent& event) {
  return std::visit(Overload{[&](VideoEvent& e) { return VideoToJs(env, e); },
                             [&](ConfigEvent& e) { return ConfigToJs(env, e); },
                             [&](StateEvent& e) { return StateToJs(env, e); },
                             [&](ChosenEvent& e) { return ChosenToJs(env, e); },
                             [&](TryingEvent& e) {
                               Napi::Object object = Event(env, "trying");
                               object["engine"] = e.engine;
                               object["path"] = e.path;
                               return Napi::Value(object);
                             },
                             [&](CursorEvent& e) {
                               Napi::Object fields = Napi::Object::New(env);
                               CursorToJs(env, fields, e);
                               Napi::Object object = Event(env, "cursor");
                               object["cursor"] = fields;
                               return Napi::Value(object);
                             },
                             [&](ReleasedEvent& e) {
                               Napi::Object object = Event(env, "released");
                               object["token"] = Number(e.token);
                               return Napi::Value(object);
                             },
                             [&](RefusedEvent& e) {
                               Napi::Object object = Event(env, "refused");
                               object["resource"] = Number(e.resource);
                               object["error"] = ToJs(env, e.error);
                               return Napi::Value(object);
                             },
                             [&](EndEvent& e) {
                               Napi::Object object = Event(env, "end");
                               if (e.error) object["error"] = ToJs(env, *e.error);
                               return Napi::Value(object);
                             }},
                    event);
}

Napi::Object ToJs(Napi::Env env, const EngineStats& stats) {
  Napi::Object object = Napi::Object::New(env);
  object["framesIn"] = Number(stats.frames_in);
  object["encoded"] = Number(stats.video.encoded);
  object["keyFrames"] = Number(stats.video.key_frames);
  object["keepalives"] = Number(stats.video.keepalives);
  object["droppedBeforeEncode"] = Number(stats.dropped_before_encode);
  object["skippedUnchanged"] = Number(stats.skipped_unchanged);
  object["bytes"] = Number(stats.video.bytes);
  object["tilesCompared"] = Number(stats.tiles_compared);
  object["tilesChanged"] = Number(stats.tiles_changed);
  object["copies"] = stats.copies;
  object["bitrateKbps"] = Number(stats.bitrate_kbps);
  object["convert"] = ToJs(env, stats.convert);
  object["encode"] = ToJs(env, stats.video.encode);
  object["latency"] = ToJs(env, stats.video.latency);
  return object;
}

EngineOptions OptionsFromJs(const Napi::Object& options) {
  EngineOptions result;
  result.engine = Text(options, "engine");
  result.bitrate_kbps = U32(options, "bitrateKbps");
  result.max_fps = U32(options, "maxFps");
  result.keepalive_ms = U32(options, "keepaliveMs");
  // lib/engine.ts has checked them.
  result.codec = CodecOf(Text(options, "codec")).value_or(Codec::kH264);
  result.mode = ModeOf(Text(options, "mode")).value_or(PathMode::kAuto);
  result.gpu.render_node = Text(options, "renderNode");
  result.gpu.cuda = U32(options, "cuda");
  const Napi::Array avoid = options.Get("avoid").As<Napi::Array>();
  for (uint32_t i = 0; i < avoid.Length(); i++) {
    const Napi::Object path = avoid.Get(i).As<Napi::Object>();
    result.avoid.push_back({Text(path, "engine"), Text(path, "path"), Text(path, "reason")});
  }
  const Napi::Object source = options.Get("source").As<Napi::Object>();
  const std::string kind = Text(source, "kind");
  if (kind == "test-pattern") {
    result.source =
        TestPatternTarget{U32(source, "width"), U32(source, "height"), U32(source, "fps")};
    return result;
  }
  if (kind == "resource") {
    result.source = ResourceTarget{Text(source, "socket")};
    return result;
  }
  SurfaceTarget target;
  target.socket = Text(source, "socket");
  target.cursor = options.Get("cursor").As<Napi::Boolean>();
  if (kind == "scanout") {
    target.what = ScanoutTarget{U32(source, "scanout")};
  } else {
    target.what = CaptureTarget{U32(source, "capture")};
  }
  result.source = std::move(target);
  return result;
}

ResourceLayout ResourceFromJs(const Napi::Object& resource) {
  ResourceLayout layout;
  layout.request.resource = U32(resource, "resource");
  layout.request.width = U32(resource, "width");
  layout.request.height = U32(resource, "height");
  layout.request.format = U32(resource, "format");
  layout.request.stride = U32(resource, "stride");
  layout.request.offset = U64(resource, "offset");
  layout.request.modifier = U64(resource, "modifier");
  layout.backing = resource.Get("backing").As<Napi::Boolean>();
  return layout;
}

ShownFrame FrameFromJs(const Napi::Object& object) {
  ShownFrame frame;
  frame.token = U32(object, "token");
  frame.resource = U32(object, "resource");
  frame.pts = U64(object, "pts");
  const Napi::Value damage = object.Get("damage");
  if (damage.IsObject()) {
    const auto rect = damage.As<Napi::Object>();
    frame.damage = sb_rect{U32(rect, "x"), U32(rect, "y"), U32(rect, "width"), U32(rect, "height")};
  }
  return frame;
}

}  // namespace scanbridge::host
