// SPDX-License-Identifier: Apache-2.0
#include "addon/js_surface_client.h"

#include <poll.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "addon/client_events.h"
#include "addon/event_queue.h"
#include "addon/stop_worker.h"
#include "addon/to_js.h"
#include "core/waker.h"

namespace scanbridge::host {
namespace {

/// Events that JavaScript has not taken, at most; then the connection is not read.
constexpr size_t kMaxEvents = 256;

[[noreturn]] void Throw(Napi::Env env, const EngineError& error) {
  Napi::Error thrown = Napi::Error::New(env, error.message);
  thrown.Set("code", Napi::String::New(env, error.code));
  thrown.Set("remedy", Napi::String::New(env, error.remedy));
  throw thrown;
}

bool MergeCursor(ClientEvent& last, ClientEvent& event) {
  auto* const before = std::get_if<StreamCursor>(&last);
  auto* const after = std::get_if<StreamCursor>(&event);
  if (before == nullptr || after == nullptr || before->stream != after->stream) return false;
  if (!after->cursor.shape) after->cursor.shape = std::move(before->cursor.shape);
  *before = std::move(*after);
  return true;
}

uint32_t U32(const Napi::Value& value) {
  return value.As<Napi::Number>().Uint32Value();
}

uint64_t U64(const Napi::Value& value) {
  bool lossless = true;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

}  // namespace

class JsSurfaceClient::Worker final : private SurfaceObserver {
 public:
  Worker(Napi::Env env, const Napi::Function& listener, std::string path, std::string name)
      : queue_(std::make_shared<EventQueue<ClientEvent>>(env, listener, "scanbridge-surface",
                                                         ClientEventToJs)) {
    queue_->on_taken = [this](const std::deque<ClientEvent>&) { waker_.Wake(); };
    auto connected = SurfaceClient::Connect(path, name);
    if (auto* const error = std::get_if<EngineError>(&connected)) {
      queue_->Push(EndEvent{std::move(*error)});
      return;
    }
    client_ = std::get<std::unique_ptr<SurfaceClient>>(std::move(connected));
    thread_ = std::thread([this] { Run(); });
  }

  ~Worker() override {
    Stop();
    Finish();
  }

  /// Ends the thread and the connection. Once, of any thread.
  void Stop() {
    stop_ = true;
    waker_.Wake();
    if (thread_.joinable()) thread_.join();
    const std::lock_guard lock(mutex_);
    client_.reset();
  }

  /// Of the JavaScript thread: no more events.
  void Finish() {
    queue_->on_taken = nullptr;
    queue_->Close();
  }

  /// Calls `use` with the client; false when the connection is over.
  template <typename Use>
  bool With(Use use) {
    const std::lock_guard lock(mutex_);
    if (!client_) return false;
    use(*client_);
    if (client_->wants_write()) waker_.Wake();
    return true;
  }

 private:
  void Run() {
    while (!stop_) {
      const bool listen = queue_->size() < kMaxEvents;
      pollfd polled[2] = {{waker_.fd(), POLLIN, 0}, {-1, POLLIN, 0}};
      bool buffered = false;
      {
        const std::lock_guard lock(mutex_);
        if (listen) polled[1].fd = client_->fd();
        if (client_->wants_write()) polled[1].events |= POLLOUT;
        buffered = listen && client_->has_buffered();
      }
      (void)::poll(polled, 2, buffered ? 0 : -1);
      if ((polled[0].revents & POLLIN) != 0) waker_.Clear();
      if (!listen) continue;
      const std::lock_guard lock(mutex_);
      if (auto error = client_->Dispatch(*this)) {
        queue_->Push(EndEvent{std::move(error)});
        client_.reset();
        return;
      }
    }
  }

  void OnHello(const sb_hello_reply& hello) override { queue_->Push(hello); }
  void OnAnswer(const SurfaceAnswer& answer) override { queue_->Push(answer); }
  void OnScanoutInfo(const sb_scanout_info& info) override { queue_->Push(info); }
  void OnSurface(const sb_surface& surface) override { queue_->Push(surface); }
  void OnSurfaceGone(uint32_t stream, uint32_t surface) override {
    queue_->Push(SurfaceGone{stream, surface});
  }
  void OnFrame(const SurfaceFrame& frame) override { queue_->Push(frame); }
  void OnCursor(uint32_t stream, const sb_cursor& cursor,
                std::span<const uint8_t> pixels) override {
    queue_->Push(StreamCursor{stream, MakeCursor(cursor, pixels)}, MergeCursor);
  }
  void OnReset(uint32_t stream, sb_reset_reason reason) override {
    queue_->Push(StreamReset{stream, reason});
  }
  void OnState(uint32_t stream, sb_stream_state state) override {
    queue_->Push(StreamState{stream, state});
  }
  void OnStreamEnd(uint32_t stream, const std::optional<EngineError>& error) override {
    queue_->Push(StreamEnd{stream, error});
  }

  const std::shared_ptr<EventQueue<ClientEvent>> queue_;
  Waker waker_;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::unique_ptr<SurfaceClient> client_;
  std::thread thread_;
};

Napi::Function JsSurfaceClient::Define(Napi::Env env) {
  return DefineClass(env, "SurfaceClient",
                     {InstanceMethod<&JsSurfaceClient::SubscribeScanout>("subscribeScanout"),
                      InstanceMethod<&JsSurfaceClient::SubscribeResource>("subscribeResource"),
                      InstanceMethod<&JsSurfaceClient::SubscribeCapture>("subscribeCapture"),
                      InstanceMethod<&JsSurfaceClient::Unsubscribe>("unsubscribe"),
                      InstanceMethod<&JsSurfaceClient::ConfigureScanout>("configureScanout"),
                      InstanceMethod<&JsSurfaceClient::Ping>("ping"),
                      InstanceMethod<&JsSurfaceClient::Release>("release"),
                      InstanceMethod<&JsSurfaceClient::ReadPixels>("readPixels"),
                      InstanceMethod<&JsSurfaceClient::Close>("close")});
}

JsSurfaceClient::JsSurfaceClient(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<JsSurfaceClient>(info) {
  worker_ = std::make_shared<Worker>(info.Env(), info[2].As<Napi::Function>(),
                                     info[0].As<Napi::String>().Utf8Value(),
                                     info[1].As<Napi::String>().Utf8Value());
  Ref();
}

JsSurfaceClient::~JsSurfaceClient() = default;

template <typename Ask>
SurfaceClient::Request JsSurfaceClient::Request(Napi::Env env, Ask ask) {
  std::optional<SurfaceClient::Request> request;
  const bool open = worker_->With([&](SurfaceClient& client) { request = ask(client); });
  if (!open) {
    Throw(env, {"SURFACE_CLOSED", "The connection to the producer of surfaces is closed.",
                "Connect again."});
  }
  if (!request) {
    Throw(env, {"SURFACE_TOO_MANY",
                "There is no such stream, or too many streams or unanswered requests.",
                "Wait for answers, and keep to 32 streams a connection."});
  }
  return *request;
}

namespace {

Napi::Value StreamRequest(Napi::Env env, const SurfaceClient::Request& request) {
  Napi::Object object = Napi::Object::New(env);
  object["serial"] = static_cast<double>(request.serial);
  object["stream"] = static_cast<double>(request.stream);
  return object;
}

}  // namespace

Napi::Value JsSurfaceClient::SubscribeScanout(const Napi::CallbackInfo& info) {
  return StreamRequest(info.Env(), Request(info.Env(), [&](SurfaceClient& client) {
                         return client.SubscribeScanout(U32(info[0]), info[1].As<Napi::Boolean>());
                       }));
}

Napi::Value JsSurfaceClient::SubscribeResource(const Napi::CallbackInfo& info) {
  sb_subscribe_resource resource{};
  resource.resource = U32(info[0]);
  resource.width = U32(info[1]);
  resource.height = U32(info[2]);
  resource.format = U32(info[3]);
  resource.stride = U32(info[4]);
  resource.offset = U64(info[5]);
  resource.modifier = U64(info[6]);
  return StreamRequest(info.Env(), Request(info.Env(), [&](SurfaceClient& client) {
                         return client.SubscribeResource(resource, info[7].As<Napi::Boolean>());
                       }));
}

Napi::Value JsSurfaceClient::SubscribeCapture(const Napi::CallbackInfo& info) {
  return StreamRequest(info.Env(), Request(info.Env(), [&](SurfaceClient& client) {
                         return client.SubscribeCapture(U32(info[0]), info[1].As<Napi::Boolean>());
                       }));
}

Napi::Value JsSurfaceClient::Unsubscribe(const Napi::CallbackInfo& info) {
  const auto request =
      Request(info.Env(), [&](SurfaceClient& client) { return client.Unsubscribe(U32(info[0])); });
  return Napi::Number::New(info.Env(), request.serial);
}

Napi::Value JsSurfaceClient::ConfigureScanout(const Napi::CallbackInfo& info) {
  sb_configure_scanout configuration{};
  configuration.scanout = U32(info[0]);
  configuration.enabled = info[1].As<Napi::Boolean>() ? 1 : 0;
  configuration.width = U32(info[2]);
  configuration.height = U32(info[3]);
  configuration.refresh = U32(info[4]);
  configuration.width_mm = U32(info[5]);
  configuration.height_mm = U32(info[6]);
  const auto request = Request(
      info.Env(), [&](SurfaceClient& client) { return client.ConfigureScanout(configuration); });
  return Napi::Number::New(info.Env(), request.serial);
}

Napi::Value JsSurfaceClient::Ping(const Napi::CallbackInfo& info) {
  const auto request = Request(info.Env(), [](SurfaceClient& client) { return client.Ping(); });
  return Napi::Number::New(info.Env(), request.serial);
}

void JsSurfaceClient::Release(const Napi::CallbackInfo& info) {
  (void)worker_->With([&](SurfaceClient& client) { client.Release(U32(info[0]), U64(info[1])); });
}

Napi::Value JsSurfaceClient::ReadPixels(const Napi::CallbackInfo& info) {
  std::shared_ptr<SurfaceMemory> memory;
  sb_rect crop{};
  (void)worker_->With([&](SurfaceClient& client) {
    if (const SurfaceFrame* const frame = client.Outstanding(U32(info[0]), U64(info[1]))) {
      memory = frame->memory;
      crop = frame->crop;
    }
  });
  if (!memory) {
    Throw(info.Env(), {"SURFACE_BAD_RELEASE", "The frame is released, or its stream is over.",
                       "Read a frame before it is released."});
  }
  const size_t row = size_t{crop.width} * kBytesPerPixel;
  auto pixels = Napi::Buffer<uint8_t>::New(info.Env(), row * crop.height);
  const bool whole = memory->Read(crop, [&](const PixelView& view) {
    for (uint32_t y = 0; y < view.height; y++) {
      std::memcpy(pixels.Data() + y * row, view.data + static_cast<ptrdiff_t>(y) * view.stride,
                  row);
    }
  });
  if (!whole) {
    Throw(info.Env(),
          {"SURFACE_TRUNCATED", "The producer of surfaces took the memory of a surface away.",
           "This is a defect of the producer, or an attack; look at its log."});
  }
  return pixels;
}

void JsSurfaceClient::Close(const Napi::CallbackInfo& info) {
  auto* const worker = new StopWorker(
      info[0].As<Napi::Function>(), [worker = worker_] { worker->Stop(); },
      [this] {
        worker_->Finish();
        Unref();
      });
  worker->Queue();
}

}  // namespace scanbridge::host
