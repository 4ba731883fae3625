// SPDX-License-Identifier: Apache-2.0
// Values of JavaScript. Names and shapes are those of lib/*.ts, which have checked what comes in.
#ifndef SCANBRIDGE_MACOS_ADDON_JS_H_
#define SCANBRIDGE_MACOS_ADDON_JS_H_

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/percentiles.h"

napi_value js_object(napi_env env);
void js_set(napi_env env, napi_value object, const char* name, napi_value value);
void js_set_number(napi_env env, napi_value object, const char* name, double value);
void js_set_bool(napi_env env, napi_value object, const char* name, bool value);
void js_set_string(napi_env env, napi_value object, const char* name, const char* value);
void js_set_percentiles(napi_env env, napi_value object, const char* name,
                        const sbm_percentile_set* set);
/// A NativeError of lib/errors.ts.
napi_value js_error(napi_env env, const sbm_error* error);

/// A property; 0, false or "" where it is of another type.
uint32_t js_u32(napi_env env, napi_value object, const char* name);
bool js_bool(napi_env env, napi_value object, const char* name);
void js_string(napi_env env, napi_value object, const char* name, char* to, size_t size);
bool js_has(napi_env env, napi_value object, const char* name);
napi_value js_get(napi_env env, napi_value object, const char* name);

#endif
