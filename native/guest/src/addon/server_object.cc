// SPDX-License-Identifier: Apache-2.0
#include "addon/server_object.h"

#include <scanbridge/surface/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <string>
#include <system_error>
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

[[noreturn]] void Throw(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  throw error;
}

uint32_t Number(const Napi::Object& options, const char* key) {
  return options.Get(key).As<Napi::Number>().Uint32Value();
}

CaptureOptions ReadOptions(const Napi::Object& object) {
  CaptureOptions options;
  options.node = Number(object, "node");
  options.remote = object.Get("remote").As<Napi::String>().Utf8Value();
  options.connection.reset(object.Get("fd").As<Napi::Number>().Int32Value());
  options.offer.max_fps = std::clamp(Number(object, "maxFps"), 1u, 1000u);
  options.offer.width = std::min(Number(object, "width"), uint32_t{SB_MAX_DIMENSION});
  options.offer.height = std::min(Number(object, "height"), uint32_t{SB_MAX_DIMENSION});
  options.connect_timeout =
      std::chrono::milliseconds(std::max(1u, Number(object, "connectTimeout")));
  std::string node = object.Get("renderNode").As<Napi::String>().Utf8Value();
  if (node == "auto") {
    const auto nodes = ListRenderNodes();
    node = nodes.empty() ? "" : nodes.front();
  }
  if (!node.empty()) options.offer.gpu = CachedGpu(node).formats;
  options.render_node = std::move(node);
  return options;
}

struct AddonData {
  Napi::FunctionReference capture;
};

}  // namespace

ServerThread::~ServerThread() {
  if (!server) return;
  const Loop::Lock lock(loop);
  server.reset();
}

void ServerObject::Define(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData;
  data->capture = Napi::Persistent(CaptureObject::Define(env));
  env.SetInstanceData(data);
  exports.Set("SurfaceServer",
              DefineClass(env, "SurfaceServer",
                          {
                              InstanceMethod<&ServerObject::AddCapture>("addCapture"),
                              InstanceMethod<&ServerObject::Stats>("stats"),
                              InstanceMethod<&ServerObject::Close>("close"),
                          }));
}

ServerObject::ServerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const std::string path = info[0].As<Napi::String>();
  const std::string name = info[1].As<Napi::String>();
  const uint32_t max_clients = info[2].As<Napi::Number>();
  surface::Error error;
  auto listener = surface::Listener::Open(path, error);
  if (!listener) {
    const char* code = error.system == ENAMETOOLONG ? "PATH_TOO_LONG"
                       : error.system == EADDRINUSE ? "IN_USE"
                                                    : "LISTEN_FAILED";
    Throw(info.Env(), code, error.text);
  }
  try {
    thread_ = std::make_shared<ServerThread>();
  } catch (const std::system_error& failure) {
    Throw(info.Env(), "LISTEN_FAILED", failure.what());
  }
  {
    const Loop::Lock lock(thread_->loop);
    thread_->server =
        std::make_unique<SurfaceServer>(thread_->loop, std::move(*listener), name, max_clients);
  }
  teardown_ = std::make_unique<Teardown>(info.Env(), [this] { Shut(); });
}

Napi::Value ServerObject::AddCapture(const Napi::CallbackInfo& info) {
  CaptureOptions options = ReadOptions(info[0].As<Napi::Object>());
  if (!thread_) Throw(info.Env(), "CLOSED", "The surface server was closed.");
  Napi::Object object = info.Env().GetInstanceData<AddonData>()->capture.New({});
  CaptureObject::Unwrap(object)->Start(thread_, std::move(options), info[1].As<Napi::Function>());
  return object;
}

Napi::Value ServerObject::Stats(const Napi::CallbackInfo& info) {
  Napi::Object stats = Napi::Object::New(info.Env());
  SurfaceServer::Counters counters;
  size_t clients = 0;
  if (thread_) {
    const Loop::Lock lock(thread_->loop);
    counters = thread_->server->counters();
    clients = thread_->server->client_count();
  }
  stats.Set("clients", static_cast<double>(clients));
  stats.Set("accepted", static_cast<double>(counters.accepted));
  stats.Set("refused", static_cast<double>(counters.refused));
  stats.Set("violations", static_cast<double>(counters.violations));
  return stats;
}

Napi::Value ServerObject::Close(const Napi::CallbackInfo& info) {
  Shut();
  teardown_.reset();
  return info.Env().Undefined();
}

void ServerObject::Shut() {
  if (!thread_) return;
  {
    const Loop::Lock lock(thread_->loop);
    thread_->server.reset();
  }
  thread_.reset();
}

Napi::Function CaptureObject::Define(Napi::Env env) {
  return DefineClass(env, "Capture",
                     {
                         InstanceAccessor<&CaptureObject::Id>("id"),
                         InstanceMethod<&CaptureObject::Stats>("stats"),
                         InstanceMethod<&CaptureObject::Resize>("resize"),
                         InstanceMethod<&CaptureObject::Close>("close"),
                     });
}

CaptureObject::CaptureObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

CaptureObject::~CaptureObject() {
  Shut();
}

void CaptureObject::Start(std::shared_ptr<ServerThread> thread, CaptureOptions options,
                          Napi::Function listener) {
  thread_ = std::move(thread);
  events_ = std::make_shared<EventSink>(Env(), listener, "scanbridge-capture");
  Capture::Events events;
  events.state = [sink = events_](CaptureState state) {
    sink->Emit("state",
               [state](Napi::Env, Napi::Object event) { event.Set("state", Name(state)); });
  };
  events.format = [sink = events_](const CaptureFormat& format) {
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
  events.error = [sink = events_](const CaptureError& error) {
    sink->Emit("error", [error](Napi::Env, Napi::Object event) {
      event.Set("code", Name(error.code));
      event.Set("message", error.message);
    });
  };
  events.ended = [this, sink = events_] {
    sink->Emit("end", [this](Napi::Env, Napi::Object) { Shut(); });
  };
  {
    const Loop::Lock lock(thread_->loop);
    source_ = thread_->server->MakeSource();
    id_ = source_->id();
    capture_ =
        std::make_unique<Capture>(thread_->loop, *source_, std::move(options), std::move(events));
  }
  // The object must outlive the capture's thread, so JavaScript may not collect it until the end.
  Ref();
  teardown_ = std::make_unique<Teardown>(Env(), [this] { Shut(); });
}

Napi::Value CaptureObject::Id(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), id_);
}

Napi::Value CaptureObject::Stats(const Napi::CallbackInfo& info) {
  Source::Counters counters;
  Capture::PoolCounters pool;
  size_t streams = 0;
  if (thread_) {
    const Loop::Lock lock(thread_->loop);
    counters = source_->counters();
    pool = capture_->pool();
    streams = source_->stream_count();
  }
  Napi::Object stats = Napi::Object::New(info.Env());
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

Napi::Value CaptureObject::Resize(const Napi::CallbackInfo& info) {
  if (thread_) {
    const Loop::Lock lock(thread_->loop);
    capture_->Resize(info[0].As<Napi::Number>().Uint32Value(),
                     info[1].As<Napi::Number>().Uint32Value());
  }
  return info.Env().Undefined();
}

Napi::Value CaptureObject::Close(const Napi::CallbackInfo& info) {
  if (thread_) {
    const Loop::Lock lock(thread_->loop);
    capture_->Close();
  }
  return info.Env().Undefined();
}

void CaptureObject::Shut() {
  if (!thread_) return;
  {
    const Loop::Lock lock(thread_->loop);
    capture_.reset();
    if (thread_->server) thread_->server->RemoveSource(*source_);
    source_.reset();
  }
  thread_.reset();
  events_.reset();
  teardown_.reset();
  Unref();
}

}  // namespace scanbridge::guest
