// SPDX-License-Identifier: Apache-2.0
#include "addon/js_engine.h"

#include "addon/event_queue.h"
#include "addon/stop_worker.h"
#include "addon/to_js.h"

namespace scanbridge::host {
namespace {

/// Access units that JavaScript has not taken, at most; then nothing is encoded.
constexpr int kMaxVideo = 4;
/// Events that JavaScript has not taken, at most; then the source is not read.
constexpr size_t kMaxEvents = 256;

/// Of a cursor only the newest position matters, and the newest shape.
bool MergeCursor(EngineEvent& last, EngineEvent& event) {
  auto* const before = std::get_if<CursorEvent>(&last);
  auto* const after = std::get_if<CursorEvent>(&event);
  if (before == nullptr || after == nullptr) return false;
  if (!after->shape) after->shape = std::move(before->shape);
  *before = std::move(*after);
  return true;
}

}  // namespace

class JsEngine::Sink final : public EventSink {
 public:
  Sink(Napi::Env env, const Napi::Function& listener)
      : queue(std::make_shared<EventQueue<EngineEvent>>(env, listener, "scanbridge-engine",
                                                        EngineEventToJs)) {}

  void Push(EngineEvent event) override {
    if (std::holds_alternative<VideoEvent>(event)) video_++;
    queue->Push(std::move(event), MergeCursor);
  }
  bool WantsVideo() const override { return video_ < kMaxVideo; }
  bool Full() const override { return queue->size() >= kMaxEvents; }

  void Taken(const std::deque<EngineEvent>& events) {
    for (const EngineEvent& event : events) video_ -= std::holds_alternative<VideoEvent>(event);
  }

  const std::shared_ptr<EventQueue<EngineEvent>> queue;

 private:
  std::atomic<int> video_ = 0;
};

Napi::Function JsEngine::Define(Napi::Env env) {
  return DefineClass(
      env, "Engine",
      {InstanceMethod<&JsEngine::RequestKeyFrame>("requestKeyFrame"),
       InstanceMethod<&JsEngine::SetBitrate>("setBitrate"),
       InstanceMethod<&JsEngine::AddResource>("addResource"),
       InstanceMethod<&JsEngine::RemoveResource>("removeResource"),
       InstanceMethod<&JsEngine::ShowFrame>("showFrame"), InstanceMethod<&JsEngine::Stats>("stats"),
       InstanceMethod<&JsEngine::Close>("close")});
}

JsEngine::JsEngine(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JsEngine>(info) {
  EngineOptions options = OptionsFromJs(info[0].As<Napi::Object>());
  sink_ = std::make_shared<Sink>(info.Env(), info[1].As<Napi::Function>());
  engine_ = std::make_unique<Engine>(std::move(options), *sink_);
  sink_->queue->on_taken = [this](const std::deque<EngineEvent>& events) {
    sink_->Taken(events);
    if (engine_) engine_->Wake();
  };
  Ref();
}

JsEngine::~JsEngine() {
  engine_.reset();
  sink_->queue->on_taken = nullptr;
  sink_->queue->Close();
}

void JsEngine::RequestKeyFrame(const Napi::CallbackInfo&) {
  if (engine_) engine_->RequestKeyFrame();
}

void JsEngine::SetBitrate(const Napi::CallbackInfo& info) {
  if (engine_) engine_->SetBitrate(info[0].As<Napi::Number>().Uint32Value());
}

Napi::Value JsEngine::AddResource(const Napi::CallbackInfo& info) {
  const bool added =
      engine_ == nullptr || engine_->AddResource(ResourceFromJs(info[0].As<Napi::Object>()));
  return Napi::Boolean::New(info.Env(), added);
}

void JsEngine::RemoveResource(const Napi::CallbackInfo& info) {
  if (engine_) engine_->RemoveResource(info[0].As<Napi::Number>().Uint32Value());
}

void JsEngine::ShowFrame(const Napi::CallbackInfo& info) {
  if (engine_) engine_->ShowFrame(FrameFromJs(info[0].As<Napi::Object>()));
}

Napi::Value JsEngine::Stats(const Napi::CallbackInfo& info) {
  if (engine_) last_stats_ = engine_->stats();
  return ToJs(info.Env(), last_stats_);
}

void JsEngine::Close(const Napi::CallbackInfo& info) {
  last_stats_ = engine_->stats();
  // std::function wants what can be copied.
  const auto engine = std::make_shared<std::unique_ptr<Engine>>(std::move(engine_));
  auto* const worker = new StopWorker(
      info[0].As<Napi::Function>(), [engine] { engine->reset(); },
      [this] {
        sink_->queue->Close();
        Unref();
      });
  worker->Queue();
}

}  // namespace scanbridge::host
