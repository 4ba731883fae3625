// SPDX-License-Identifier: Apache-2.0
#include "videotoolbox/encoder.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const unsigned pauses_ms[SBM_ENCODER_ATTEMPTS] = {0, 10, 50, 250};

/// What is to be done with the picture that was submitted.
typedef enum { STEP_NONE, STEP_ENCODE, STEP_WAIT } step;

struct sbm_encoder {
  sbm_session_settings settings;
  sbm_encoder_observer observer;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  /// Under the lock.
  bool stop, failed;
  step step;
  sbm_picture* picture;
  uint64_t frame, time;
  bool key;
  unsigned attempts;
  /// The session's last frame failed, and a new session is to be made.
  bool broken;
  bool bitrate_changed;
  unsigned rebuilds;
  char description[48];
  /// Of the thread.
  sbm_session* session;
};

/// Ends the present picture. Returns its hold, for the caller to release without the lock.
static sbm_picture* finish(sbm_encoder* encoder) {
  sbm_picture* const picture = encoder->picture;
  encoder->picture = NULL;
  encoder->step = STEP_NONE;
  encoder->attempts = 0;
  return picture;
}

static void on_unit(void* context, uint64_t frame, const sbm_unit* unit) {
  sbm_encoder* const encoder = context;
  (void)pthread_mutex_lock(&encoder->lock);
  sbm_picture* const picture = finish(encoder);
  const bool asked = encoder->key;
  (void)pthread_mutex_unlock(&encoder->lock);
  sbm_picture_release(picture);
  encoder->observer.unit(encoder->observer.context, frame, unit, asked);
}

static void on_dropped(void* context, uint64_t frame) {
  sbm_encoder* const encoder = context;
  (void)pthread_mutex_lock(&encoder->lock);
  sbm_picture* const picture = finish(encoder);
  const bool asked = encoder->key;
  (void)pthread_mutex_unlock(&encoder->lock);
  sbm_picture_release(picture);
  encoder->observer.dropped(encoder->observer.context, frame, asked);
}

/// The attempt failed: another one, or the end.
static void fail(sbm_encoder* encoder, const sbm_error* error, bool again) {
  sbm_picture* picture = NULL;
  (void)pthread_mutex_lock(&encoder->lock);
  const bool last = !again || encoder->attempts >= SBM_ENCODER_ATTEMPTS;
  if (last) {
    encoder->failed = true;
    picture = finish(encoder);
  } else {
    encoder->broken = true;
    encoder->key = true;
    encoder->step = STEP_ENCODE;
  }
  (void)pthread_cond_broadcast(&encoder->changed);
  (void)pthread_mutex_unlock(&encoder->lock);
  sbm_picture_release(picture);
  if (last) encoder->observer.failed(encoder->observer.context, error);
}

static void on_failed(void* context, uint64_t frame, const sbm_error* error, bool again) {
  (void)frame;
  fail(context, error, again);
}

/// A new session, where there is none or the last one is broken.
static bool make_session(sbm_encoder* encoder, bool broken) {
  if (broken) {
    sbm_session_destroy(encoder->session);
    encoder->session = NULL;
  }
  if (encoder->session != NULL) return true;
  const sbm_session_observer observer = {encoder, on_unit, on_dropped, on_failed};
  sbm_error error;
  bool again;
  (void)pthread_mutex_lock(&encoder->lock);
  const sbm_session_settings settings = encoder->settings;
  encoder->bitrate_changed = false;
  (void)pthread_mutex_unlock(&encoder->lock);
  encoder->session = sbm_session_create(&settings, &observer, &error, &again);
  if (encoder->session == NULL) {
    fail(encoder, &error, again);
    return false;
  }
  (void)pthread_mutex_lock(&encoder->lock);
  (void)snprintf(encoder->description, sizeof encoder->description, "%s",
                 sbm_session_description(encoder->session));
  if (broken) encoder->rebuilds++;
  (void)pthread_mutex_unlock(&encoder->lock);
  return true;
}

/// Waits before an attempt, unless the encoder is to stop. Lock held.
static void pause_before(sbm_encoder* encoder, unsigned attempt) {
  struct timespec until;
  (void)clock_gettime(CLOCK_REALTIME, &until);
  const uint64_t at = (uint64_t)until.tv_nsec + pauses_ms[attempt] * (uint64_t)1000000;
  until.tv_sec += (time_t)(at / 1000000000u);
  until.tv_nsec = (long)(at % 1000000000u);
  while (!encoder->stop &&
         pthread_cond_timedwait(&encoder->changed, &encoder->lock, &until) != ETIMEDOUT) {
  }
}

static void* run(void* context) {
  sbm_encoder* const encoder = context;
  (void)pthread_mutex_lock(&encoder->lock);
  for (;;) {
    while (!encoder->stop && encoder->step != STEP_ENCODE && !encoder->bitrate_changed)
      (void)pthread_cond_wait(&encoder->changed, &encoder->lock);
    if (encoder->stop) break;
    if (encoder->bitrate_changed && encoder->session != NULL) {
      const uint32_t kbps = encoder->settings.bitrate_kbps;
      encoder->bitrate_changed = false;
      (void)pthread_mutex_unlock(&encoder->lock);
      sbm_session_set_bitrate(encoder->session, kbps);
      (void)pthread_mutex_lock(&encoder->lock);
      continue;
    }
    encoder->bitrate_changed = false;
    if (encoder->step != STEP_ENCODE) continue;
    if (encoder->attempts > 0) pause_before(encoder, encoder->attempts);
    if (encoder->stop) break;
    encoder->step = STEP_WAIT;
    encoder->attempts++;
    const bool broken = encoder->broken;
    encoder->broken = false;
    // A hold of the thread's own: the call-back may end the picture before the call returns.
    sbm_picture* const picture = sbm_picture_hold(encoder->picture);
    const uint64_t frame = encoder->frame, time = encoder->time;
    const bool key = encoder->key;
    (void)pthread_mutex_unlock(&encoder->lock);
    sbm_error error;
    bool again = false;
    if (make_session(encoder, broken) &&
        !sbm_session_encode(encoder->session, picture, frame, time, key, &error, &again))
      fail(encoder, &error, again);
    sbm_picture_release(picture);
    (void)pthread_mutex_lock(&encoder->lock);
  }
  (void)pthread_mutex_unlock(&encoder->lock);
  // After it nothing calls back any more.
  sbm_session_destroy(encoder->session);
  return NULL;
}

sbm_encoder* sbm_encoder_create(const sbm_session_settings* settings,
                                const sbm_encoder_observer* observer) {
  sbm_encoder* const encoder = calloc(1, sizeof *encoder);
  if (encoder == NULL) return NULL;
  encoder->settings = *settings;
  encoder->observer = *observer;
  (void)pthread_mutex_init(&encoder->lock, NULL);
  (void)pthread_cond_init(&encoder->changed, NULL);
  if (pthread_create(&encoder->thread, NULL, run, encoder) == 0) return encoder;
  (void)pthread_cond_destroy(&encoder->changed);
  (void)pthread_mutex_destroy(&encoder->lock);
  free(encoder);
  return NULL;
}

void sbm_encoder_destroy(sbm_encoder* encoder) {
  if (encoder == NULL) return;
  (void)pthread_mutex_lock(&encoder->lock);
  encoder->stop = true;
  (void)pthread_cond_broadcast(&encoder->changed);
  (void)pthread_mutex_unlock(&encoder->lock);
  (void)pthread_join(encoder->thread, NULL);
  sbm_picture_release(encoder->picture);
  (void)pthread_cond_destroy(&encoder->changed);
  (void)pthread_mutex_destroy(&encoder->lock);
  free(encoder);
}

bool sbm_encoder_submit(sbm_encoder* encoder, sbm_picture* picture, uint64_t frame, uint64_t time,
                        bool key) {
  (void)pthread_mutex_lock(&encoder->lock);
  const bool free_now = encoder->step == STEP_NONE && !encoder->failed;
  if (free_now) {
    encoder->picture = sbm_picture_hold(picture);
    encoder->frame = frame;
    encoder->time = time;
    encoder->key = key;
    encoder->step = STEP_ENCODE;
    (void)pthread_cond_broadcast(&encoder->changed);
  }
  (void)pthread_mutex_unlock(&encoder->lock);
  return free_now;
}

bool sbm_encoder_busy(sbm_encoder* encoder) {
  (void)pthread_mutex_lock(&encoder->lock);
  const bool busy = encoder->step != STEP_NONE || encoder->failed;
  (void)pthread_mutex_unlock(&encoder->lock);
  return busy;
}

void sbm_encoder_set_bitrate(sbm_encoder* encoder, uint32_t kbps) {
  (void)pthread_mutex_lock(&encoder->lock);
  encoder->settings.bitrate_kbps = kbps;
  encoder->bitrate_changed = true;
  (void)pthread_cond_broadcast(&encoder->changed);
  (void)pthread_mutex_unlock(&encoder->lock);
}

unsigned sbm_encoder_rebuilds(sbm_encoder* encoder) {
  (void)pthread_mutex_lock(&encoder->lock);
  const unsigned rebuilds = encoder->rebuilds;
  (void)pthread_mutex_unlock(&encoder->lock);
  return rebuilds;
}

void sbm_encoder_description(sbm_encoder* encoder, char* text, size_t size) {
  (void)pthread_mutex_lock(&encoder->lock);
  (void)snprintf(text, size, "%s", encoder->description);
  (void)pthread_mutex_unlock(&encoder->lock);
}
