// SPDX-License-Identifier: Apache-2.0
// The class NativeEngine of lib/addon.ts.
#ifndef SCANBRIDGE_HOST_ADDON_JS_ENGINE_H_
#define SCANBRIDGE_HOST_ADDON_JS_ENGINE_H_

#include <napi.h>

#include <memory>

#include "engine/engine.h"

namespace scanbridge::host {

/// Keeps itself alive until close.
class JsEngine final : public Napi::ObjectWrap<JsEngine> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit JsEngine(const Napi::CallbackInfo& info);
  ~JsEngine() override;

 private:
  class Sink;

  void RequestKeyFrame(const Napi::CallbackInfo& info);
  void SetBitrate(const Napi::CallbackInfo& info);
  Napi::Value AddResource(const Napi::CallbackInfo& info);
  void RemoveResource(const Napi::CallbackInfo& info);
  void ShowFrame(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<Sink> sink_;
  /// Empty once close was called.
  std::unique_ptr<Engine> engine_;
  EngineStats last_stats_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ADDON_JS_ENGINE_H_
