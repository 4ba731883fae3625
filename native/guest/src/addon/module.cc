// SPDX-License-Identifier: Apache-2.0
#include <napi.h>

#include "addon/gpus.h"
#include "addon/resource_objects.h"
#include "addon/screencast_objects.h"
#include "addon/server_object.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  scanbridge::guest::ServerObject::Define(env, exports);
  scanbridge::guest::VirtioGpuObject::Define(env, exports);
  scanbridge::guest::ResourceCaptureObject::Define(env, exports);
  scanbridge::guest::MutterObject::Define(env, exports);
  scanbridge::guest::PortalObject::Define(env, exports);
  exports.Set("listGpus", Napi::Function::New<scanbridge::guest::ListGpus>(env, "listGpus"));
  exports.Set("listVirtioGpus",
              Napi::Function::New<scanbridge::guest::ListVirtioGpuNodes>(env, "listVirtioGpus"));
  return exports;
}

}  // namespace

NODE_API_MODULE(scanbridge_guest, Init)
