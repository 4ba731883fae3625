// SPDX-License-Identifier: Apache-2.0
#include "addon/server_object.h"

#include <scanbridge/surface/socket.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "addon/capture_events.h"
#include "addon/gpus.h"

namespace scanbridge::guest {
namespace {

CaptureOptions ReadOptions(const Napi::Object& object) {
  CaptureOptions options = ReadCaptureOptions(object);
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
    ThrowCoded(info.Env(), code, error.text);
  }
  try {
    thread_ = std::make_shared<ServerThread>();
  } catch (const std::system_error& failure) {
    ThrowCoded(info.Env(), "LISTEN_FAILED", failure.what());
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
  if (!thread_) ThrowCoded(info.Env(), "CLOSED", "The surface server was closed.");
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
  Capture::Events events = MakeCaptureEvents(events_, [this] { Shut(); });
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
  return MakeCaptureStats(info.Env(), counters, pool, streams);
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
