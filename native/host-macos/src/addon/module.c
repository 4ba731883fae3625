// SPDX-License-Identifier: Apache-2.0
// What JavaScript can load: the interface Addon of lib/addon.ts.
#include <node_api.h>
#include <stdlib.h>
#include <string.h>

#include "addon/engine_object.h"
#include "addon/js.h"
#include "core/clock.h"
#include "surface/picture.h"

static napi_value monotonic_now(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value now = NULL;
  (void)napi_create_bigint_uint64(env, sbm_now(), &now);
  return now;
}

/// readSurface(message): the pixels of an IOSurface that a SURFACE message describes, checked as an
/// engine checks it. Throws a NativeError.
static napi_value read_surface(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value description = NULL, buffer = NULL;
  if (napi_get_cb_info(env, info, &count, &description, NULL, NULL) != napi_ok) return NULL;
  const struct sb_surface message = {
      .surface = js_u32(env, description, "surface"),
      .kind = SB_SURFACE_KIND_IOSURFACE,
      .width = js_u32(env, description, "width"),
      .height = js_u32(env, description, "height"),
      .format = js_u32(env, description, "format"),
      .flags = js_u32(env, description, "flags"),
      .iosurface_id = js_u32(env, description, "iosurfaceId"),
  };
  sbm_error error;
  sbm_picture* const picture = sbm_picture_lookup(&message, &error);
  bool read = false;
  if (picture != NULL) {
    void* pixels = NULL;
    const struct sb_rect whole = {0, 0, message.width, message.height};
    sbm_error_set(&error, "SURFACE_LOST", "Start the stream again.",
                  "The pixels of IOSurface %u cannot be read.", message.iosurface_id);
    read = napi_create_buffer(env, (size_t)message.width * message.height * 4, &pixels, &buffer) ==
               napi_ok &&
           sbm_picture_read(picture, &whole, pixels);
    sbm_picture_unref(picture);
  }
  if (read) return buffer;
  (void)napi_throw(env, js_error(env, &error));
  return NULL;
}

static void export_function(napi_env env, napi_value exports, const char* name,
                            napi_callback callback) {
  napi_value function = NULL;
  (void)napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function);
  js_set(env, exports, name, function);
}

static napi_value init(napi_env env, napi_value exports) {
  js_set(env, exports, "Engine", engine_object_define(env));
  export_function(env, exports, "monotonicNow", monotonic_now);
  export_function(env, exports, "readSurface", read_surface);
  return exports;
}

NAPI_MODULE(scanbridge_host_macos, init)
