// SPDX-License-Identifier: Apache-2.0
#include "addon/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon/js.h"

enum { MAX_VIDEO = 4, MAX_EVENTS = 64 };

typedef enum { VIDEO, CONFIG, STATE, CURSOR, CHOSEN, END } kind;

typedef struct event {
  struct event* next;
  kind kind;
  /// Of malloc: a message, or the pixels of a cursor.
  uint8_t* bytes;
  size_t size;
  sbm_config config;
  sbm_state state;
  uint32_t reset;
  struct sb_cursor cursor;
  char path[96];
  sbm_error error;
} event;

struct event_queue {
  atomic_uint references;
  napi_threadsafe_function call;
  void (*taken)(void* context);
  void* context;
  pthread_mutex_t lock;
  /// Under the lock.
  event *first, *last;
  unsigned count, videos;
  bool scheduled;
  /// Of the JavaScript thread.
  bool closed;
};

static void free_events(event* each) {
  while (each != NULL) {
    event* const next = each->next;
    free(each->bytes);
    free(each);
    each = next;
  }
}

static void unref(event_queue* queue) {
  if (atomic_fetch_sub(&queue->references, 1) != 1) return;
  free_events(queue->first);
  (void)pthread_mutex_destroy(&queue->lock);
  free(queue);
}

/// Takes over the event. A position of a cursor replaces one that is the last in the queue.
static void push(event_queue* queue, event* new_event) {
  bool schedule = false;
  event* merged = NULL;
  (void)pthread_mutex_lock(&queue->lock);
  event* const last = queue->last;
  if (last != NULL && last->kind == CURSOR && new_event->kind == CURSOR &&
      new_event->bytes == NULL) {
    const uint32_t shape = last->cursor.flags & SB_CURSOR_FLAG_SHAPE;
    last->cursor.flags = (new_event->cursor.flags & SB_CURSOR_FLAG_VISIBLE) | shape;
    last->cursor.x = new_event->cursor.x;
    last->cursor.y = new_event->cursor.y;
    merged = new_event;
  } else {
    if (last != NULL)
      last->next = new_event;
    else
      queue->first = new_event;
    queue->last = new_event;
    queue->count++;
    queue->videos += new_event->kind == VIDEO;
    schedule = !queue->scheduled;
    queue->scheduled = true;
  }
  (void)pthread_mutex_unlock(&queue->lock);
  free_events(merged);
  // A refusal means that the environment ends; nobody is left to be told.
  if (schedule) (void)napi_call_threadsafe_function(queue->call, NULL, napi_tsfn_nonblocking);
}

/// Without memory for an event the process is beyond help; the supervisor starts another.
static event* new_event(kind kind) {
  event* const made = calloc(1, sizeof *made);
  if (made == NULL) abort();
  made->kind = kind;
  return made;
}

static void on_video(void* context, uint8_t* message, size_t size) {
  event* const made = new_event(VIDEO);
  made->bytes = message;
  made->size = size;
  push(context, made);
}

static void on_config(void* context, const sbm_config* config) {
  event* const made = new_event(CONFIG);
  made->config = *config;
  push(context, made);
}

static void on_state(void* context, sbm_state state, uint32_t reset) {
  event* const made = new_event(STATE);
  made->state = state;
  made->reset = reset;
  push(context, made);
}

static void on_cursor(void* context, const struct sb_cursor* cursor, const uint8_t* pixels) {
  event* const made = new_event(CURSOR);
  made->cursor = *cursor;
  if ((cursor->flags & SB_CURSOR_FLAG_SHAPE) != 0 && cursor->pixel_bytes > 0) {
    made->size = cursor->pixel_bytes;
    made->bytes = malloc(made->size);
    if (made->bytes == NULL) abort();
    memcpy(made->bytes, pixels, made->size);
  }
  push(context, made);
}

static void on_chosen(void* context, const char* path) {
  event* const made = new_event(CHOSEN);
  (void)snprintf(made->path, sizeof made->path, "%s", path);
  push(context, made);
}

static void on_end(void* context, const sbm_error* error) {
  event* const made = new_event(END);
  made->error = *error;
  push(context, made);
}

static bool wants_video(void* context) {
  event_queue* const queue = context;
  (void)pthread_mutex_lock(&queue->lock);
  const bool wants = queue->videos < MAX_VIDEO;
  (void)pthread_mutex_unlock(&queue->lock);
  return wants;
}

static bool is_full(void* context) {
  event_queue* const queue = context;
  (void)pthread_mutex_lock(&queue->lock);
  const bool full = queue->count >= MAX_EVENTS;
  (void)pthread_mutex_unlock(&queue->lock);
  return full;
}

sbm_sink events_sink(event_queue* queue) {
  return (sbm_sink){.context = queue,
                    .video = on_video,
                    .config = on_config,
                    .state = on_state,
                    .cursor = on_cursor,
                    .chosen = on_chosen,
                    .end = on_end,
                    .wants_video = wants_video,
                    .full = is_full};
}

/* To JavaScript ---------------------------------------------------------------------------------
 */

static void free_bytes(napi_env env, void* bytes, void* hint) {
  (void)env;
  (void)hint;
  free(bytes);
}

static void set_buffer(napi_env env, napi_value object, const char* name, event* from) {
  napi_value buffer = NULL;
  // The memory becomes the Buffer's, without a copy.
  if (napi_create_external_buffer(env, from->size, from->bytes, free_bytes, NULL, &buffer) !=
      napi_ok)
    return;
  from->bytes = NULL;
  js_set(env, object, name, buffer);
}

static napi_value config_to_js(napi_env env, const sbm_config* config) {
  napi_value object = js_object(env), space = js_object(env);
  js_set_number(env, object, "id", config->id);
  js_set_string(env, object, "codec", config->sequence.codec);
  js_set_number(env, object, "width", config->width);
  js_set_number(env, object, "height", config->height);
  js_set_number(env, object, "codedWidth", config->sequence.width);
  js_set_number(env, object, "codedHeight", config->sequence.height);
  // What the session was told to make of a desktop's sRGB.
  js_set_string(env, space, "primaries", "bt709");
  js_set_string(env, space, "transfer", "bt709");
  js_set_string(env, space, "matrix", "bt709");
  js_set_bool(env, space, "fullRange", false);
  js_set(env, object, "colorSpace", space);
  return object;
}

static napi_value state_to_js(napi_env env, const event* from) {
  static const char* const states[] = {"starting", "live", "blank", "waiting"};
  static const char* const resets[] = {"", "guest-reset", "renegotiated", "source-lost"};
  napi_value object = js_object(env);
  js_set_string(env, object, "state", states[from->state]);
  if (from->reset > 0 && from->reset < sizeof resets / sizeof *resets)
    js_set_string(env, object, "reset", resets[from->reset]);
  return object;
}

static napi_value cursor_to_js(napi_env env, event* from) {
  const struct sb_cursor* const cursor = &from->cursor;
  napi_value object = js_object(env);
  js_set_bool(env, object, "visible", (cursor->flags & SB_CURSOR_FLAG_VISIBLE) != 0);
  js_set_number(env, object, "x", cursor->x);
  js_set_number(env, object, "y", cursor->y);
  if (from->bytes != NULL) {
    napi_value shape = js_object(env);
    js_set_number(env, shape, "hotX", cursor->hot_x);
    js_set_number(env, shape, "hotY", cursor->hot_y);
    js_set_number(env, shape, "width", cursor->width);
    js_set_number(env, shape, "height", cursor->height);
    set_buffer(env, shape, "pixels", from);
    js_set(env, object, "shape", shape);
  }
  return object;
}

static napi_value chosen_to_js(napi_env env, const event* from) {
  napi_value object = js_object(env), tried = NULL;
  (void)napi_create_array(env, &tried);
  js_set_string(env, object, "engine", "videotoolbox");
  js_set_string(env, object, "path", from->path);
  js_set(env, object, "tried", tried);
  return object;
}

static napi_value to_js(napi_env env, event* from) {
  napi_value object = js_object(env);
  switch (from->kind) {
    case VIDEO:
      js_set_string(env, object, "type", "video");
      set_buffer(env, object, "message", from);
      break;
    case CONFIG:
      js_set_string(env, object, "type", "config");
      js_set(env, object, "config", config_to_js(env, &from->config));
      break;
    case STATE:
      js_set_string(env, object, "type", "state");
      js_set(env, object, "state", state_to_js(env, from));
      break;
    case CURSOR:
      js_set_string(env, object, "type", "cursor");
      js_set(env, object, "cursor", cursor_to_js(env, from));
      break;
    case CHOSEN:
      js_set_string(env, object, "type", "chosen");
      js_set(env, object, "chosen", chosen_to_js(env, from));
      break;
    case END:
      js_set_string(env, object, "type", "end");
      if (from->error.code[0] != '\0') js_set(env, object, "error", js_error(env, &from->error));
      break;
  }
  return object;
}

static void deliver(napi_env env, napi_value listener, void* context, void* data) {
  event_queue* const queue = context;
  (void)data;
  (void)pthread_mutex_lock(&queue->lock);
  event* const events = queue->first;
  queue->first = queue->last = NULL;
  queue->count = queue->videos = 0;
  queue->scheduled = false;
  (void)pthread_mutex_unlock(&queue->lock);
  if (!queue->closed && env != NULL && listener != NULL) {
    queue->taken(queue->context);
    napi_value batch = NULL, undefined = NULL;
    (void)napi_create_array(env, &batch);
    uint32_t index = 0;
    for (event* each = events; each != NULL; each = each->next)
      (void)napi_set_element(env, batch, index++, to_js(env, each));
    (void)napi_get_undefined(env, &undefined);
    (void)napi_call_function(env, undefined, listener, 1, &batch, NULL);
  }
  free_events(events);
}

static void finalize(napi_env env, void* data, void* hint) {
  (void)env;
  (void)hint;
  unref(data);
}

event_queue* events_open(napi_env env, napi_value listener, void (*taken)(void* context),
                         void* context) {
  event_queue* const queue = calloc(1, sizeof *queue);
  if (queue == NULL) return NULL;
  atomic_init(&queue->references, 2);
  queue->taken = taken;
  queue->context = context;
  (void)pthread_mutex_init(&queue->lock, NULL);
  napi_value name = NULL;
  (void)napi_create_string_utf8(env, "scanbridge engine", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, listener, NULL, name, 0, 1, queue, finalize, queue,
                                      deliver, &queue->call) == napi_ok)
    return queue;
  (void)pthread_mutex_destroy(&queue->lock);
  free(queue);
  return NULL;
}

void events_close(event_queue* queue) {
  queue->closed = true;
  (void)napi_release_threadsafe_function(queue->call, napi_tsfn_release);
  unref(queue);
}
