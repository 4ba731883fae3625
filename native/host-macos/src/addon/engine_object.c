// SPDX-License-Identifier: Apache-2.0
#include "addon/engine_object.h"

#include <stdlib.h>
#include <string.h>

#include "addon/events.h"
#include "addon/js.h"

/// Kept alive by a strong reference to its JavaScript object until close has finished; freed with
/// that object. Used by the JavaScript thread alone, but for `closing`, which close lends to a
/// worker.
typedef struct {
  sbm_engine* engine;
  event_queue* events;
  sbm_engine_stats last_stats;
  napi_ref self;
  napi_ref done;
  napi_async_work work;
  sbm_engine* closing;
} engine_object;

static void free_object(napi_env env, void* data, void* hint) {
  (void)env;
  (void)hint;
  engine_object* const object = data;
  // Only when the environment ends without close().
  if (object->engine != NULL) sbm_engine_destroy(object->engine);
  if (object->events != NULL) events_close(object->events);
  free(object);
}

static void on_taken(void* context) {
  engine_object* const object = context;
  if (object->engine != NULL) sbm_engine_wake(object->engine);
}

static void read_target(napi_env env, napi_value source, const char* kind, bool cursor,
                        char* socket, size_t size, sbm_target* target) {
  js_string(env, source, "socket", socket, size);
  target->socket = socket;
  target->cursor = cursor;
  if (strcmp(kind, "capture") == 0) {
    target->subscribe = SB_MSG_SUBSCRIBE_CAPTURE;
    target->number = js_u32(env, source, "capture");
  } else {
    target->subscribe = SB_MSG_SUBSCRIBE_SCANOUT;
    target->number = js_u32(env, source, "scanout");
  }
}

static sbm_engine* make_engine(napi_env env, napi_value options, const sbm_sink* sink) {
  char kind[16], socket[256], codec[16];
  sbm_target target = {.socket = NULL};
  napi_value source = js_get(env, options, "source");
  js_string(env, source, "kind", kind, sizeof kind);
  js_string(env, options, "codec", codec, sizeof codec);
  sbm_engine_options native = {
      .codec = strcmp(codec, "hevc") == 0 ? kCMVideoCodecType_HEVC : kCMVideoCodecType_H264,
      .bitrate_kbps = js_u32(env, options, "bitrateKbps"),
      .max_fps = js_u32(env, options, "maxFps"),
      .keepalive_ms = js_u32(env, options, "keepaliveMs"),
  };
  if (strcmp(kind, "test-pattern") == 0) {
    native.pattern_width = js_u32(env, source, "width");
    native.pattern_height = js_u32(env, source, "height");
    native.pattern_fps = js_u32(env, source, "fps");
  } else {
    read_target(env, source, kind, js_bool(env, options, "cursor"), socket, sizeof socket, &target);
    native.target = &target;
  }
  return sbm_engine_create(&native, sink);
}

static napi_value construct(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2], self;
  if (napi_get_cb_info(env, info, &count, arguments, &self, NULL) != napi_ok) return NULL;
  engine_object* const object = calloc(1, sizeof *object);
  if (object == NULL || napi_wrap(env, self, object, free_object, NULL, NULL) != napi_ok) {
    free(object);
    (void)napi_throw_error(env, "INTERNAL", "Memory ran out.");
    return NULL;
  }
  object->events = events_open(env, arguments[1], on_taken, object);
  if (object->events != NULL) {
    const sbm_sink sink = events_sink(object->events);
    object->engine = make_engine(env, arguments[0], &sink);
  }
  if (object->engine == NULL) {
    (void)napi_throw_error(env, "INTERNAL", "Memory, threads or descriptors ran out.");
    return NULL;
  }
  (void)napi_create_reference(env, self, 1, &object->self);
  return self;
}

static engine_object* unwrap(napi_env env, napi_callback_info info, napi_value* argument) {
  size_t count = 1;
  napi_value self;
  void* object = NULL;
  if (napi_get_cb_info(env, info, &count, argument, &self, NULL) == napi_ok)
    (void)napi_unwrap(env, self, &object);
  return object;
}

static napi_value request_key_frame(napi_env env, napi_callback_info info) {
  napi_value none;
  engine_object* const object = unwrap(env, info, &none);
  if (object != NULL && object->engine != NULL) sbm_engine_request_key_frame(object->engine);
  return NULL;
}

static napi_value set_bitrate(napi_env env, napi_callback_info info) {
  napi_value value;
  uint32_t kbps = 0;
  engine_object* const object = unwrap(env, info, &value);
  if (object != NULL && object->engine != NULL &&
      napi_get_value_uint32(env, value, &kbps) == napi_ok)
    sbm_engine_set_bitrate(object->engine, kbps);
  return NULL;
}

static napi_value get_stats(napi_env env, napi_callback_info info) {
  napi_value none;
  engine_object* const object = unwrap(env, info, &none);
  if (object == NULL) return NULL;
  sbm_engine_stats* const stats = &object->last_stats;
  if (object->engine != NULL) sbm_engine_get_stats(object->engine, stats);
  napi_value result = js_object(env);
  js_set_number(env, result, "framesIn", (double)stats->frames_in);
  js_set_number(env, result, "encoded", (double)stats->encoded);
  js_set_number(env, result, "keyFrames", (double)stats->key_frames);
  js_set_number(env, result, "keepalives", (double)stats->keepalives);
  js_set_number(env, result, "droppedBeforeEncode", (double)stats->dropped_before_encode);
  js_set_number(env, result, "droppedByEncoder", (double)stats->dropped_by_encoder);
  js_set_number(env, result, "bytes", (double)stats->bytes);
  js_set_number(env, result, "copies", (double)stats->copied);
  js_set_number(env, result, "rebuilds", stats->rebuilds);
  js_set_number(env, result, "bitrateKbps", stats->bitrate_kbps);
  js_set_percentiles(env, result, "convert", &stats->convert);
  js_set_percentiles(env, result, "encode", &stats->encode);
  js_set_percentiles(env, result, "latency", &stats->latency);
  return result;
}

/* Close: the engine may wait for VideoToolbox, so a worker thread does it. */

static void close_engine(napi_env env, void* data) {
  (void)env;
  sbm_engine_destroy(((engine_object*)data)->closing);
}

static void closed(napi_env env, napi_status status, void* data) {
  (void)status;
  engine_object* const object = data;
  object->closing = NULL;
  events_close(object->events);
  object->events = NULL;
  napi_value done = NULL, undefined = NULL;
  (void)napi_get_reference_value(env, object->done, &done);
  (void)napi_delete_reference(env, object->done);
  (void)napi_delete_async_work(env, object->work);
  (void)napi_get_undefined(env, &undefined);
  // The last use of the object: it may go with its reference.
  (void)napi_delete_reference(env, object->self);
  (void)napi_call_function(env, undefined, done, 0, NULL, NULL);
}

static napi_value close_object(napi_env env, napi_callback_info info) {
  napi_value done, name;
  engine_object* const object = unwrap(env, info, &done);
  if (object == NULL || object->engine == NULL) return NULL;
  sbm_engine_get_stats(object->engine, &object->last_stats);
  (void)napi_create_reference(env, done, 1, &object->done);
  (void)napi_create_string_utf8(env, "scanbridge close", NAPI_AUTO_LENGTH, &name);
  if (napi_create_async_work(env, NULL, name, close_engine, closed, object, &object->work) !=
      napi_ok)
    return NULL;
  object->closing = object->engine;
  object->engine = NULL;
  (void)napi_queue_async_work(env, object->work);
  return NULL;
}

napi_value engine_object_define(napi_env env) {
  const napi_property_descriptor methods[] = {
      {"requestKeyFrame", NULL, request_key_frame, NULL, NULL, NULL, napi_default, NULL},
      {"setBitrate", NULL, set_bitrate, NULL, NULL, NULL, napi_default, NULL},
      {"stats", NULL, get_stats, NULL, NULL, NULL, napi_default, NULL},
      {"close", NULL, close_object, NULL, NULL, NULL, napi_default, NULL},
  };
  napi_value constructor = NULL;
  (void)napi_define_class(env, "Engine", NAPI_AUTO_LENGTH, construct, NULL,
                          sizeof methods / sizeof *methods, methods, &constructor);
  return constructor;
}
