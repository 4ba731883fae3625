// SPDX-License-Identifier: Apache-2.0
// Leases, Unix sockets and input devices for JavaScript (lib/addon.ts has the types). What the
// kernel refuses is thrown as an Error whose `code` is errno's name.
#ifndef SCANBRIDGE_GUEST_ADDON_LEASE_FUNCTIONS_H_
#define SCANBRIDGE_GUEST_ADDON_LEASE_FUNCTIONS_H_

#include <napi.h>

namespace scanbridge::guest {

void DefineLeaseFunctions(Napi::Env env, Napi::Object exports);
void DefineSocketFunctions(Napi::Env env, Napi::Object exports);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_LEASE_FUNCTIONS_H_
