// SPDX-License-Identifier: Apache-2.0
// The class NativeSurfaceClient of lib/addon.ts.
#ifndef SCANBRIDGE_HOST_ADDON_JS_SURFACE_CLIENT_H_
#define SCANBRIDGE_HOST_ADDON_JS_SURFACE_CLIENT_H_

#include <napi.h>

#include <memory>
#include <optional>

#include "surface/surface_client.h"

namespace scanbridge::host {

/// Keeps itself alive until close.
class JsSurfaceClient final : public Napi::ObjectWrap<JsSurfaceClient> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit JsSurfaceClient(const Napi::CallbackInfo& info);
  ~JsSurfaceClient() override;

 private:
  /// The connection and the thread that polls it.
  class Worker;

  Napi::Value SubscribeScanout(const Napi::CallbackInfo& info);
  Napi::Value SubscribeResource(const Napi::CallbackInfo& info);
  Napi::Value SubscribeCapture(const Napi::CallbackInfo& info);
  Napi::Value Unsubscribe(const Napi::CallbackInfo& info);
  Napi::Value ConfigureScanout(const Napi::CallbackInfo& info);
  Napi::Value Ping(const Napi::CallbackInfo& info);
  void Release(const Napi::CallbackInfo& info);
  Napi::Value ReadPixels(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  template <typename Ask>
  SurfaceClient::Request Request(Napi::Env env, Ask ask);

  std::shared_ptr<Worker> worker_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ADDON_JS_SURFACE_CLIENT_H_
