// SPDX-License-Identifier: Apache-2.0
#include <napi.h>

#include "addon/handle.h"

namespace {

Napi::Value LocalCid(const Napi::CallbackInfo& info) {
  uint32_t cid = 0;
  const int result = scanbridge::vsock::LocalCid(cid);
  return Napi::Number::New(info.Env(), result < 0 ? static_cast<double>(result) : cid);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Handle", scanbridge::vsock::Handle::Define(env));
  exports.Set("localCid", Napi::Function::New<LocalCid>(env, "localCid"));
  return exports;
}

}  // namespace

NODE_API_MODULE(scanbridge_vsock, Init)
