// SPDX-License-Identifier: Apache-2.0
#ifndef SCANBRIDGE_GUEST_ADDON_GUARDED_H_
#define SCANBRIDGE_GUEST_ADDON_GUARDED_H_

#include <napi.h>
#include <string.h>

#include <system_error>

namespace scanbridge::guest {

/// Turns std::system_error into a JavaScript Error whose `code` is errno's name ("EBUSY").
template <Napi::Value (*Call)(const Napi::CallbackInfo&)>
Napi::Value Guarded(const Napi::CallbackInfo& info) {
  try {
    return Call(info);
  } catch (const std::system_error& failure) {
    Napi::Error error = Napi::Error::New(info.Env(), failure.what());
    const char* name = strerrorname_np(failure.code().value());
    error.Set("code", name == nullptr ? "EUNKNOWN" : name);
    throw error;
  }
}

template <Napi::Value (*Call)(const Napi::CallbackInfo&)>
void Export(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Guarded<Call>>(env, name));
}

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_GUARDED_H_
