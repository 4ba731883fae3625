// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/waker.h"
#include "engine/output.h"
#include "engine/pattern.h"
#include "videotoolbox/encoder.h"

#define NEVER UINT64_MAX
/// A picture that is in the encoder for this long will not come out [ns].
#define STALL_LIMIT 5000000000u

/// The smallest picture that every encoder takes [pixels].
enum { MIN_SIZE = 16, COPIES = 2, MAX_KEY_REQUESTS = 3 };

struct sbm_engine {
  sbm_engine_options options;
  sbm_target target;
  char* socket;
  sbm_sink sink;
  sbm_waker waker;
  pthread_t thread;
  atomic_bool stop, key_wanted;
  atomic_uint bitrate_kbps, rebuilds;
  sbm_output output;

  /// Of the engine's thread.
  sbm_client* client;
  sbm_pattern* pattern;
  sbm_state state;
  sbm_encoder* encoder;
  uint32_t visible_width, visible_height;
  uint32_t coded_width, coded_height;
  uint32_t applied_kbps;
  unsigned past_rebuilds;
  /// What was encoded last, held; and surfaces of our own for what cannot be encoded as it is.
  sbm_picture* shown;
  sbm_picture* copies[COPIES];
  unsigned next_copy;
  bool shown_is_copy;
  uint64_t frame, last_time, last_submitted, not_before;

  pthread_mutex_t lock;
  /// Under the lock.
  sbm_error encoder_error;
  unsigned unmet_key_requests;
};

/* What the encoder tells, on its threads --------------------------------------------------------
 */

static void note_error(sbm_engine* engine, const sbm_error* error) {
  (void)pthread_mutex_lock(&engine->lock);
  if (engine->encoder_error.code[0] == '\0') engine->encoder_error = *error;
  (void)pthread_mutex_unlock(&engine->lock);
  sbm_waker_wake(&engine->waker);
}

/// A key frame was asked for and did not come: asks again, but not for ever.
static void ask_again(sbm_engine* engine) {
  (void)pthread_mutex_lock(&engine->lock);
  const bool too_often = ++engine->unmet_key_requests > MAX_KEY_REQUESTS;
  (void)pthread_mutex_unlock(&engine->lock);
  atomic_store(&engine->key_wanted, true);
  if (!too_often) return;
  sbm_error error;
  sbm_error_set(&error, "ENCODER_FAILED", "Use another codec, and report it.",
                "The encoder makes no key frame when it is asked to.");
  note_error(engine, &error);
}

static void on_unit(void* context, uint64_t frame, const sbm_unit* unit, bool asked) {
  sbm_engine* const engine = context;
  sbm_error error;
  sbm_facts facts;
  bool first = false;
  const bool key = unit->key;
  if (!sbm_output_finish(&engine->output, frame, unit, &first, &facts, &error)) {
    note_error(engine, &error);
    return;
  }
  if (first) {
    char session[48], path[96];
    sbm_encoder_description(engine->encoder, session, sizeof session);
    (void)snprintf(path, sizeof path, "IOSurface%s -> VideoToolbox (%s)",
                   facts.copied ? " copied" : "", session);
    engine->sink.chosen(engine->sink.context, path);
  }
  if (asked && !key) {
    ask_again(engine);
  } else if (key) {
    (void)pthread_mutex_lock(&engine->lock);
    engine->unmet_key_requests = 0;
    (void)pthread_mutex_unlock(&engine->lock);
  }
  sbm_waker_wake(&engine->waker);
}

static void on_dropped(void* context, uint64_t frame, bool asked) {
  (void)frame;
  sbm_engine* const engine = context;
  sbm_output_drop(&engine->output);
  if (asked) ask_again(engine);
  sbm_waker_wake(&engine->waker);
}

static void on_failed(void* context, const sbm_error* error) {
  note_error(context, error);
}

/* What the source tells, on the engine's thread -------------------------------------------------
 */

static void set_state(sbm_engine* engine, sbm_state state) {
  if (engine->state == state) return;
  engine->state = state;
  engine->sink.state(engine->sink.context, state, 0);
}

static void forget_shown(sbm_engine* engine) {
  sbm_picture_release(engine->shown);
  engine->shown = NULL;
}

static void on_state(void* context, enum sb_stream_state state) {
  sbm_engine* const engine = context;
  if (state == SB_STREAM_STATE_BLANK) {
    // A display that is off shows nothing, and so must a viewer that joins now.
    forget_shown(engine);
    set_state(engine, SBM_BLANK);
  } else if (state == SB_STREAM_STATE_WAITING) {
    set_state(engine, SBM_WAITING);
  }
  // Live with the first picture.
}

static void on_reset(void* context, enum sb_reset_reason reason) {
  sbm_engine* const engine = context;
  if (reason != SB_RESET_REASON_RENEGOTIATED) {
    forget_shown(engine);
    engine->state = SBM_WAITING;
  }
  engine->sink.state(engine->sink.context, engine->state, reason);
}

static void on_cursor(void* context, const struct sb_cursor* cursor, const uint8_t* pixels) {
  sbm_engine* const engine = context;
  engine->sink.cursor(engine->sink.context, cursor, pixels);
}

/* Pictures ---------------------------------------------------------------------------------------
 */

static uint32_t coded(uint32_t visible) {
  return visible < MIN_SIZE ? MIN_SIZE : (visible + 1) & ~1u;
}

static void drop_encoder(sbm_engine* engine) {
  if (engine->encoder != NULL) engine->past_rebuilds += sbm_encoder_rebuilds(engine->encoder);
  sbm_encoder_destroy(engine->encoder);
  engine->encoder = NULL;
  for (size_t i = 0; i < COPIES; i++) {
    sbm_picture_unref(engine->copies[i]);
    engine->copies[i] = NULL;
  }
}

/// An encoder for pictures of this size.
static bool prepare(sbm_engine* engine, uint32_t width, uint32_t height, sbm_error* error) {
  if (engine->encoder != NULL && engine->visible_width == width && engine->visible_height == height)
    return true;
  drop_encoder(engine);
  forget_shown(engine);
  engine->visible_width = width;
  engine->visible_height = height;
  engine->coded_width = coded(width);
  engine->coded_height = coded(height);
  engine->applied_kbps = atomic_load(&engine->bitrate_kbps);
  const sbm_session_settings settings = {
      .width = engine->coded_width,
      .height = engine->coded_height,
      .codec = engine->options.codec,
      .bitrate_kbps = engine->applied_kbps,
      .max_fps = engine->options.max_fps,
      .headroom = sizeof(struct sbv_video_header),
  };
  const sbm_encoder_observer observer = {engine, on_unit, on_dropped, on_failed};
  engine->encoder = sbm_encoder_create(&settings, &observer);
  if (engine->encoder != NULL) return true;
  sbm_error_set(error, "INTERNAL", "Close other programs.", "No encode thread can be started.");
  return false;
}

/// The picture itself when the encoder can take it as it is, else a copy, upright and of even size.
/// Held; NULL and `error` otherwise.
static sbm_picture* ready_picture(sbm_engine* engine, sbm_picture* picture,
                                  const struct sb_rect* crop, sbm_error* error) {
  engine->shown_is_copy =
      crop->x != 0 || crop->y != 0 || sbm_picture_width(picture) != engine->coded_width ||
      sbm_picture_height(picture) != engine->coded_height || sbm_picture_y_inverted(picture);
  if (!engine->shown_is_copy) return sbm_picture_hold(picture);
  sbm_picture** const copy = &engine->copies[engine->next_copy++ % COPIES];
  if (*copy == NULL) *copy = sbm_picture_create(engine->coded_width, engine->coded_height, error);
  if (*copy == NULL) return NULL;
  if (sbm_picture_copy(*copy, picture, crop)) return sbm_picture_hold(*copy);
  sbm_error_set(error, "SURFACE_LOST", "Start the stream again.",
                "The pixels of an IOSurface cannot be read.");
  return NULL;
}

/// Gives what is shown to the encoder.
static void encode(sbm_engine* engine, uint64_t started, sbm_facts facts) {
  const bool key = atomic_exchange(&engine->key_wanted, false);
  facts.frame = ++engine->frame;
  facts.submitted = sbm_now();
  facts.width = engine->visible_width;
  facts.height = engine->visible_height;
  facts.coded_width = engine->coded_width;
  facts.coded_height = engine->coded_height;
  facts.copied = engine->shown_is_copy;
  // Times of the encoder grow, whatever the clock's resolution.
  engine->last_time =
      facts.submitted > engine->last_time ? facts.submitted : engine->last_time + 1000;
  engine->last_submitted = facts.submitted;
  sbm_output_expect(&engine->output, &facts, (facts.submitted - started) / 1000);
  // It is free: this thread alone submits, and looked before.
  (void)sbm_encoder_submit(engine->encoder, engine->shown, facts.frame, engine->last_time, key);
}

static bool show(sbm_engine* engine, const sbm_frame* frame, sbm_error* error) {
  const uint64_t started = sbm_now();
  if (!prepare(engine, frame->crop.width, frame->crop.height, error)) return false;
  sbm_picture* const picture = ready_picture(engine, frame->picture, &frame->crop, error);
  if (picture == NULL) return false;
  forget_shown(engine);
  engine->shown = picture;
  sbm_output_count(&engine->output, frame->replaced + 1, frame->replaced, engine->shown_is_copy);
  set_state(engine, SBM_LIVE);
  const sbm_facts facts = {.pts = frame->pts, .arrival = frame->arrival};
  encode(engine, started, facts);
  return true;
}

/// The pace: at most max_fps pictures a second, and half an interval early, so that a source at
/// exactly this rate passes whatever its jitter.
static uint64_t allowed_at(const sbm_engine* engine) {
  const uint64_t half = 500000000u / engine->options.max_fps;
  return engine->not_before > half ? engine->not_before - half : 0;
}

static void count_pace(sbm_engine* engine, uint64_t now) {
  // A twentieth above the stated rate, so that what came late leaves room to catch up.
  const uint64_t interval = (uint64_t)1000000000u * 20 / 21 / engine->options.max_fps;
  engine->not_before = (engine->not_before > now ? engine->not_before : now) + interval;
}

static bool take_picture(sbm_engine* engine, uint64_t now, sbm_error* error) {
  if (engine->pattern != NULL) {
    sbm_frame frame = {.pts = now, .arrival = now};
    frame.picture = sbm_pattern_take(engine->pattern, now, &frame.replaced);
    if (frame.picture == NULL) return true;
    frame.crop.width = engine->options.pattern_width;
    frame.crop.height = engine->options.pattern_height;
    count_pace(engine, now);
    return show(engine, &frame, error);
  }
  count_pace(engine, now);
  const bool shown = show(engine, sbm_client_pending(engine->client), error);
  // What is shown is held, so the producer may go on with other surfaces.
  sbm_client_release(engine->client);
  return shown;
}

/* The loop ----------------------------------------------------------------------------------------
 */

static bool ready(sbm_engine* engine) {
  return sbm_output_since(&engine->output) == 0 && engine->sink.wants_video(engine->sink.context) &&
         (engine->encoder == NULL || !sbm_encoder_busy(engine->encoder));
}

/// When a picture can be taken from the source, or NEVER.
static uint64_t picture_at(const sbm_engine* engine) {
  const uint64_t allowed = allowed_at(engine);
  if (engine->pattern != NULL) {
    const uint64_t due = sbm_pattern_due(engine->pattern);
    return due > allowed ? due : allowed;
  }
  return sbm_client_pending(engine->client) != NULL ? allowed : NEVER;
}

static uint64_t keepalive_at(const sbm_engine* engine) {
  if (engine->shown == NULL) return NEVER;
  if (atomic_load(&engine->key_wanted)) return 0;
  if (engine->options.keepalive_ms == 0) return NEVER;
  return engine->last_submitted + engine->options.keepalive_ms * (uint64_t)1000000;
}

/// Does what is due. False: the engine cannot go on.
static bool act(sbm_engine* engine, sbm_error* error) {
  (void)pthread_mutex_lock(&engine->lock);
  *error = engine->encoder_error;
  (void)pthread_mutex_unlock(&engine->lock);
  if (error->code[0] != '\0') return false;
  const uint64_t now = sbm_now();
  const uint64_t since = sbm_output_since(&engine->output);
  if (since != 0 && now >= since + STALL_LIMIT) {
    sbm_error_set(error, "ENCODER_STALLED", "Start the session's worker again.",
                  "The encoder has taken a picture and gave nothing back.");
    return false;
  }
  const uint32_t kbps = atomic_load(&engine->bitrate_kbps);
  if (engine->encoder != NULL && kbps != engine->applied_kbps) {
    engine->applied_kbps = kbps;
    sbm_encoder_set_bitrate(engine->encoder, kbps);
  }
  if (engine->encoder != NULL)
    atomic_store(&engine->rebuilds, engine->past_rebuilds + sbm_encoder_rebuilds(engine->encoder));
  if (!ready(engine)) return true;
  if (now >= picture_at(engine)) return take_picture(engine, now, error);
  if (now >= keepalive_at(engine)) {
    const sbm_facts facts = {.pts = now, .arrival = now, .keepalive = true};
    encode(engine, now, facts);
  }
  return true;
}

/// How long nothing will be due [ms]; -1: until somebody wakes.
static int patience(sbm_engine* engine, bool listening) {
  uint64_t at = NEVER;
  const uint64_t since = sbm_output_since(&engine->output);
  if (since != 0) {
    at = since + STALL_LIMIT;
  } else if (ready(engine)) {
    const uint64_t picture = picture_at(engine), keepalive = keepalive_at(engine);
    at = picture < keepalive ? picture : keepalive;
  }
  if (listening && engine->client != NULL && sbm_client_has_buffered(engine->client)) at = 0;
  if (at == NEVER) return -1;
  const uint64_t now = sbm_now();
  // Rounded up, or the last millisecond would be spent in a busy loop.
  const uint64_t wait = at > now ? (at - now + 999999) / 1000000 : 0;
  return wait > 10000 ? 10000 : (int)wait;
}

static void wait_for_work(sbm_engine* engine) {
  const bool listening = engine->client != NULL && !engine->sink.full(engine->sink.context);
  struct pollfd polled[2] = {{.fd = engine->waker.fds[0], .events = POLLIN},
                             {.fd = -1, .events = POLLIN}};
  if (listening) {
    polled[1].fd = sbm_client_fd(engine->client);
    if (sbm_client_wants_write(engine->client)) polled[1].events |= POLLOUT;
  }
  (void)poll(polled, 2, patience(engine, listening));
  if ((polled[0].revents & POLLIN) != 0) sbm_waker_clear(&engine->waker);
}

/// Opens the source and works until it is told to stop (true) or cannot go on.
static bool loop(sbm_engine* engine, sbm_error* error) {
  engine->sink.state(engine->sink.context, engine->state, 0);
  if (engine->options.target != NULL) {
    const sbm_client_observer observer = {engine, on_state, on_reset, on_cursor};
    engine->client = sbm_client_open(&engine->target, &observer, error);
  } else {
    engine->pattern =
        sbm_pattern_open(engine->options.pattern_width, engine->options.pattern_height,
                         engine->options.pattern_fps, error);
  }
  if (engine->client == NULL && engine->pattern == NULL) return false;
  while (!atomic_load(&engine->stop)) {
    wait_for_work(engine);
    if (engine->client != NULL && !engine->sink.full(engine->sink.context) &&
        !sbm_client_dispatch(engine->client, error))
      return false;
    if (!act(engine, error)) return false;
  }
  return true;
}

static void* run(void* context) {
  sbm_engine* const engine = context;
  sbm_error error = {.code = ""};
  const bool stopped = loop(engine, &error);
  // The owner learns of it first: an encoder that hangs would keep what follows waiting.
  if (!stopped) engine->sink.end(engine->sink.context, &error);
  drop_encoder(engine);
  forget_shown(engine);
  sbm_client_close(engine->client);
  sbm_pattern_close(engine->pattern);
  return NULL;
}

sbm_engine* sbm_engine_create(const sbm_engine_options* options, const sbm_sink* sink) {
  sbm_engine* const engine = calloc(1, sizeof *engine);
  if (engine == NULL) return NULL;
  engine->options = *options;
  engine->sink = *sink;
  atomic_init(&engine->bitrate_kbps, options->bitrate_kbps);
  if (options->target != NULL) {
    const size_t size = strlen(options->target->socket) + 1;
    engine->target = *options->target;
    engine->socket = malloc(size);
    if (engine->socket != NULL) memcpy(engine->socket, options->target->socket, size);
    engine->target.socket = engine->socket;
    engine->options.target = &engine->target;
  }
  if ((options->target == NULL || engine->socket != NULL) && sbm_waker_open(&engine->waker)) {
    (void)pthread_mutex_init(&engine->lock, NULL);
    sbm_output_open(&engine->output, &engine->sink);
    if (pthread_create(&engine->thread, NULL, run, engine) == 0) return engine;
    sbm_output_close(&engine->output);
    (void)pthread_mutex_destroy(&engine->lock);
    sbm_waker_close(&engine->waker);
  }
  free(engine->socket);
  free(engine);
  return NULL;
}

void sbm_engine_destroy(sbm_engine* engine) {
  if (engine == NULL) return;
  atomic_store(&engine->stop, true);
  sbm_waker_wake(&engine->waker);
  (void)pthread_join(engine->thread, NULL);
  sbm_output_close(&engine->output);
  (void)pthread_mutex_destroy(&engine->lock);
  sbm_waker_close(&engine->waker);
  free(engine->socket);
  free(engine);
}

void sbm_engine_request_key_frame(sbm_engine* engine) {
  atomic_store(&engine->key_wanted, true);
  sbm_waker_wake(&engine->waker);
}

void sbm_engine_set_bitrate(sbm_engine* engine, uint32_t kbps) {
  atomic_store(&engine->bitrate_kbps, kbps);
  sbm_waker_wake(&engine->waker);
}

void sbm_engine_get_stats(sbm_engine* engine, sbm_engine_stats* stats) {
  sbm_output_stats(&engine->output, stats);
  stats->bitrate_kbps = atomic_load(&engine->bitrate_kbps);
  stats->rebuilds = atomic_load(&engine->rebuilds);
}

void sbm_engine_wake(sbm_engine* engine) {
  sbm_waker_wake(&engine->waker);
}
