// SPDX-License-Identifier: Apache-2.0
#include "addon/capture_events.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "addon/gpus.h"

namespace scanbridge::guest {
namespace {

const char* Name(CaptureErrorCode code) {
  switch (code) {
    case CaptureErrorCode::kConnectFailed:
      return "CONNECT_FAILED";
    case CaptureErrorCode::kNoSuchNode:
      return "NO_SUCH_NODE";
    case CaptureErrorCode::kNoFormat:
      return "NO_FORMAT";
    case CaptureErrorCode::kTimeout:
      return "TIMEOUT";
    case CaptureErrorCode::kSourceLost:
      return "SOURCE_LOST";
    case CaptureErrorCode::kPipeWireLost:
      return "PIPEWIRE_LOST";
    case CaptureErrorCode::kBadBuffer:
      return "BAD_BUFFER";
    case CaptureErrorCode::kNoMemory:
      return "NO_MEMORY";
  }
  return "NO_MEMORY";
}

const char* Name(CaptureState state) {
  switch (state) {
    case CaptureState::kConnecting:
      return "connecting";
    case CaptureState::kWaiting:
      return "waiting";
    case CaptureState::kActive:
      return "active";
  }
  return "waiting";
}

uint32_t Number(const Napi::Object& options, const char* key) {
  return options.Get(key).As<Napi::Number>().Uint32Value();
}

}  // namespace

CaptureOptions ReadCaptureOptions(const Napi::Object& object) {
  CaptureOptions options;
  options.node = Number(object, "node");
  options.remote = object.Get("remote").As<Napi::String>().Utf8Value();
  options.connection.reset(object.Get("fd").As<Napi::Number>().Int32Value());
  options.offer.max_fps = std::clamp(Number(object, "maxFps"), 1u, 1000u);
  options.offer.width = std::min(Number(object, "width"), uint32_t{SB_MAX_DIMENSION});
  options.offer.height = std::min(Number(object, "height"), uint32_t{SB_MAX_DIMENSION});
  options.connect_timeout =
      std::chrono::milliseconds(std::max(1u, Number(object, "connectTimeout")));
  return options;
}

Capture::Events MakeCaptureEvents(const std::shared_ptr<EventSink>& shared,
                                  std::function<void()> ended) {
  Capture::Events events;
  events.state = [sink = shared](CaptureState state) {
    sink->Emit("state",
               [state](Napi::Env, Napi::Object event) { event.Set("state", Name(state)); });
  };
  events.format = [sink = shared](const CaptureFormat& format) {
    sink->Emit("format", [format](Napi::Env env, Napi::Object event) {
      Napi::Object object = Napi::Object::New(env);
      object.Set("width", format.width);
      object.Set("height", format.height);
      object.Set("format", FourccText(format.fourcc));
      object.Set("modifier", Napi::BigInt::New(env, format.modifier));
      object.Set("kind", format.dmabuf ? "dmabuf" : "memfd");
      object.Set("explicitSync", format.explicit_sync);
      event.Set("format", object);
    });
  };
  events.error = [sink = shared](const CaptureError& error) {
    sink->Emit("error", [error](Napi::Env, Napi::Object event) {
      event.Set("code", Name(error.code));
      event.Set("message", error.message);
    });
  };
  events.ended = [ended = std::move(ended), sink = shared] {
    sink->Emit("end", [ended](Napi::Env, Napi::Object) { ended(); });
  };
  return events;
}

Napi::Object MakeCaptureStats(Napi::Env env, const Source::Counters& counters,
                              const Capture::PoolCounters& pool, size_t streams) {
  Napi::Object stats = Napi::Object::New(env);
  stats.Set("pictures", static_cast<double>(counters.pictures));
  stats.Set("replaced", static_cast<double>(counters.replaced));
  stats.Set("frames", static_cast<double>(counters.frames));
  stats.Set("streams", static_cast<double>(streams));
  stats.Set("buffers", pool.buffers);
  stats.Set("held", pool.held);
  stats.Set("reclaimed", static_cast<double>(counters.reclaimed));
  stats.Set("bad", static_cast<double>(pool.bad));
  return stats;
}

void ThrowCoded(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  throw error;
}

}  // namespace scanbridge::guest
