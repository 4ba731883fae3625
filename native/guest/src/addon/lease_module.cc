// SPDX-License-Identifier: Apache-2.0
// An addon of its own: who lends scanouts needs neither PipeWire nor a GPU's libraries.
#include <napi.h>

#include "addon/descriptor.h"
#include "addon/lease_functions.h"
#include "addon/login_object.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  scanbridge::guest::Descriptor::Define(env, exports);
  scanbridge::guest::LoginObject::Define(env, exports);
  scanbridge::guest::DefineLeaseFunctions(env, exports);
  scanbridge::guest::DefineSocketFunctions(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(scanbridge_lease, Init)
