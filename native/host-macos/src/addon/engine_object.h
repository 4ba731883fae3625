// SPDX-License-Identifier: Apache-2.0
// The class NativeEngine of lib/addon.ts.
#ifndef SCANBRIDGE_MACOS_ADDON_ENGINE_OBJECT_H_
#define SCANBRIDGE_MACOS_ADDON_ENGINE_OBJECT_H_

#include <node_api.h>

/// The constructor.
napi_value engine_object_define(napi_env env);

#endif
