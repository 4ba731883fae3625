// SPDX-License-Identifier: Apache-2.0
#include <napi.h>

#include "addon/gpus.h"
#include "addon/screencast_objects.h"
#include "addon/server_object.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  scanbridge::guest::ServerObject::Define(env, exports);
  scanbridge::guest::MutterObject::Define(env, exports);
  scanbridge::guest::PortalObject::Define(env, exports);
  exports.Set("listGpus", Napi::Function::New<scanbridge::guest::ListGpus>(env, "listGpus"));
  return exports;
}

}  // namespace

NODE_API_MODULE(scanbridge_guest, Init)
