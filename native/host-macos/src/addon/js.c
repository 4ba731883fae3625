// SPDX-License-Identifier: Apache-2.0
#include "addon/js.h"

napi_value js_object(napi_env env) {
  napi_value object = NULL;
  (void)napi_create_object(env, &object);
  return object;
}

void js_set(napi_env env, napi_value object, const char* name, napi_value value) {
  (void)napi_set_named_property(env, object, name, value);
}

void js_set_number(napi_env env, napi_value object, const char* name, double value) {
  napi_value number = NULL;
  (void)napi_create_double(env, value, &number);
  js_set(env, object, name, number);
}

void js_set_bool(napi_env env, napi_value object, const char* name, bool value) {
  napi_value boolean = NULL;
  (void)napi_get_boolean(env, value, &boolean);
  js_set(env, object, name, boolean);
}

void js_set_string(napi_env env, napi_value object, const char* name, const char* value) {
  napi_value string = NULL;
  (void)napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &string);
  js_set(env, object, name, string);
}

void js_set_percentiles(napi_env env, napi_value object, const char* name,
                        const sbm_percentile_set* set) {
  napi_value value = js_object(env);
  js_set_number(env, value, "p50", set->p50);
  js_set_number(env, value, "p95", set->p95);
  js_set_number(env, value, "p99", set->p99);
  js_set(env, object, name, value);
}

napi_value js_error(napi_env env, const sbm_error* error) {
  napi_value object = js_object(env);
  js_set_string(env, object, "code", error->code);
  js_set_string(env, object, "message", error->message);
  js_set_string(env, object, "remedy", error->remedy);
  if (error->status != 0) js_set_number(env, object, "status", error->status);
  return object;
}

napi_value js_get(napi_env env, napi_value object, const char* name) {
  napi_value value = NULL;
  (void)napi_get_named_property(env, object, name, &value);
  return value;
}

bool js_has(napi_env env, napi_value object, const char* name) {
  bool has = false;
  (void)napi_has_named_property(env, object, name, &has);
  return has;
}

uint32_t js_u32(napi_env env, napi_value object, const char* name) {
  uint32_t value = 0;
  (void)napi_get_value_uint32(env, js_get(env, object, name), &value);
  return value;
}

bool js_bool(napi_env env, napi_value object, const char* name) {
  bool value = false;
  (void)napi_get_value_bool(env, js_get(env, object, name), &value);
  return value;
}

void js_string(napi_env env, napi_value object, const char* name, char* to, size_t size) {
  size_t length = 0;
  to[0] = '\0';
  (void)napi_get_value_string_utf8(env, js_get(env, object, name), to, size, &length);
}
