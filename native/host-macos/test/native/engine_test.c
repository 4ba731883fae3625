// SPDX-License-Identifier: Apache-2.0
// The engine as a whole: source, encoder, messages.
#include "engine/engine.h"

#include <CoreVideo/CoreVideo.h>
#include <VideoToolbox/VideoToolbox.h>
#include <pthread.h>
#include <scanbridge/viewer_video.h>
#include <stdatomic.h>

#include "check.h"
#include "producer.h"
#include "videotoolbox/memory.h"

/// Takes what an engine tells.
static struct {
  atomic_uint units, keys, keepalives, configs, states, resets, cursors, chosen, ends;
  atomic_bool full, unwanted;
  pthread_mutex_t lock;
  uint32_t next_sequence;
  uint16_t config;
  sbm_config last_config;
  struct sbv_video_header last;
  _Atomic sbm_state state;
  char path[96];
  sbm_error error;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_video(void* context, uint8_t* message, size_t size) {
  (void)context;
  pthread_mutex_lock(&sink.lock);
  CHECK(size > sizeof sink.last);
  memcpy(&sink.last, message, sizeof sink.last);
  CHECK(sink.last.message == SBV_VIDEO_MESSAGE && sink.last.sequence == sink.next_sequence++);
  CHECK(sink.last.config == sink.config && sink.last.bridge == 0);
  CHECK(memcmp(message + sizeof sink.last, "\0\0\0\1", 4) == 0);
  if ((sink.last.flags & SBV_VIDEO_FLAG_KEEPALIVE) != 0) sink.keepalives++;
  if ((sink.last.flags & SBV_VIDEO_FLAG_KEY) != 0) sink.keys++;
  sink.units++;
  pthread_mutex_unlock(&sink.lock);
  free(message);
}
static void on_config(void* context, const sbm_config* config) {
  (void)context;
  pthread_mutex_lock(&sink.lock);
  sink.config = config->id;
  sink.last_config = *config;
  sink.configs++;
  pthread_mutex_unlock(&sink.lock);
}
static void on_state(void* context, sbm_state state, uint32_t reset) {
  (void)context;
  pthread_mutex_lock(&sink.lock);
  sink.state = state;
  pthread_mutex_unlock(&sink.lock);
  sink.states++;
  if (reset != 0) sink.resets++;
}
static void on_cursor(void* context, const struct sb_cursor* cursor, const uint8_t* pixels) {
  (void)context;
  CHECK(cursor->pixel_bytes == 16 && pixels[3] == 0xab);
  sink.cursors++;
}
static void on_chosen(void* context, const char* path) {
  (void)context;
  pthread_mutex_lock(&sink.lock);
  (void)snprintf(sink.path, sizeof sink.path, "%s", path);
  pthread_mutex_unlock(&sink.lock);
  sink.chosen++;
}
static void on_end(void* context, const sbm_error* error) {
  (void)context;
  sink.error = *error;
  sink.ends++;
}
static bool wants_video(void* context) {
  (void)context;
  return !sink.unwanted;
}
static bool is_full(void* context) {
  (void)context;
  return sink.full;
}

static producer p;
static IOSurfaceRef surfaces[3];
static const struct sb_rect whole = {0, 0, 64, 48};

static sbm_engine* start(const sbm_engine_options* options) {
  sink.units = sink.keys = sink.keepalives = sink.configs = sink.states = 0;
  sink.resets = sink.cursors = sink.chosen = sink.ends = 0;
  sink.full = sink.unwanted = false;
  sink.next_sequence = 0;
  sink.config = 0;
  const sbm_sink take = {NULL,      on_video, on_config,   on_state, on_cursor,
                         on_chosen, on_end,   wants_video, is_full};
  sbm_engine* const engine = sbm_engine_create(options, &take);
  CHECK(engine != NULL);
  return engine;
}

static sbm_engine* start_scanout(uint32_t max_fps, uint32_t keepalive_ms) {
  producer_listen(&p);
  const sbm_target target = {
      .socket = p.path, .subscribe = SB_MSG_SUBSCRIBE_SCANOUT, .number = 2, .cursor = true};
  const sbm_engine_options options = {.target = &target,
                                      .codec = kCMVideoCodecType_H264,
                                      .bitrate_kbps = 5000,
                                      .max_fps = max_fps,
                                      .keepalive_ms = keepalive_ms};
  sbm_engine* const engine = start(&options);
  producer_accept(&p);
  for (uint32_t i = 0; i < 3; i++) {
    surfaces[i] = fake_iosurface(64, 48, kCVPixelFormatType_32BGRA);
    producer_surface(&p, i + 1, surfaces[i], 0);
  }
  return engine;
}

static void stop_scanout(sbm_engine* engine) {
  sbm_engine_destroy(engine);
  for (int i = 0; i < 3; i++) {
    CHECK(fake_iosurface_use_count(surfaces[i]) == 0 &&
          fake_iosurface_lock_count(surfaces[i]) == 0);
    CFRelease(surfaces[i]);
  }
  producer_close(&p);
  CHECK(sbm_memory_reserved() == 0);
}

static void expect_release(uint64_t sequence) {
  struct sb_release release;
  producer_expect(&p, SB_MSG_RELEASE, &release, sizeof release);
  CHECK(release.sequence == sequence);
}

static void a_pattern_is_encoded(void) {
  for (int hevc = 0; hevc < 2; hevc++) {
    const sbm_engine_options options = {
        .pattern_width = 320,
        .pattern_height = 48,
        .pattern_fps = 200,
        .codec = hevc ? kCMVideoCodecType_HEVC : kCMVideoCodecType_H264,
        .bitrate_kbps = 3000,
        .max_fps = 200};
    sbm_engine* const engine = start(&options);
    EVENTUALLY(sink.units >= 10);
    CHECK(sink.keys == 1 && sink.configs == 1 && sink.chosen == 1);
    EVENTUALLY(sink.state == SBM_LIVE);
    CHECK(strcmp(sink.path, "IOSurface -> VideoToolbox (hardware, low latency)") == 0);
    CHECK(sink.last_config.width == 320 && sink.last_config.sequence.height == 48);
    sbm_engine_set_bitrate(engine, 9000);
    EVENTUALLY(fake_get_calls().last_bitrate == 9000000);
    sbm_engine_stats stats;
    sbm_engine_get_stats(engine, &stats);
    CHECK(stats.encoded >= 10 && stats.key_frames == 1 && stats.bitrate_kbps == 9000);
    CHECK(stats.frames_in >= stats.encoded && stats.bytes > 0 && stats.copied == 0);
    sbm_engine_destroy(engine);
    CHECK(sink.ends == 0 && sbm_memory_reserved() == 0);
  }
}

static void odd_patterns_are_copied(void) {
  const sbm_engine_options options = {.pattern_width = 33,
                                      .pattern_height = 11,
                                      .pattern_fps = 100,
                                      .codec = kCMVideoCodecType_H264,
                                      .bitrate_kbps = 3000,
                                      .max_fps = 100};
  sbm_engine* const engine = start(&options);
  EVENTUALLY(sink.units >= 5 && sink.chosen == 1);
  CHECK(sink.last_config.width == 33 && sink.last_config.height == 11);
  CHECK(sink.last_config.sequence.width == 34 && sink.last_config.sequence.height == 16);
  CHECK(strncmp(sink.path, "IOSurface copied", 16) == 0);
  sbm_engine_destroy(engine);
}

static void scanout_frames_are_encoded_in_place(void) {
  sbm_engine* const engine = start_scanout(240, 0);
  for (uint64_t i = 1; i <= 6; i++) {
    producer_frame(&p, i, (uint32_t)(i % 3 + 1), whole);
    expect_release(i);
    EVENTUALLY(sink.units == i);
    // What is shown is kept from the producer until something newer is shown.
    EVENTUALLY(fake_iosurface_use_count(surfaces[i % 3]) == 1);
    EVENTUALLY(fake_iosurface_use_count(surfaces[(i + 1) % 3]) == 0);
  }
  CHECK(sink.keys == 1 && sink.configs == 1);
  producer_cursor(&p);
  EVENTUALLY(sink.cursors == 1);
  sbm_engine_stats stats;
  sbm_engine_get_stats(engine, &stats);
  CHECK(stats.frames_in == 6 && stats.encoded == 6 && stats.copied == 0);
  stop_scanout(engine);
}

static void pictures_are_dropped_before_the_encoder(void) {
  sbm_engine* const engine = start_scanout(240, 0);
  fake_set_encoder(&(fake_encoder){.hold_outputs = true});
  producer_frame(&p, 1, 1, whole);
  expect_release(1);
  producer_frame(&p, 2, 2, whole);
  // While the encoder works the next picture waits, unreleased, and nothing is encoded.
  CHECK(producer_quiet(&p) && fake_get_calls().encodes == 1);
  fake_release_outputs();
  expect_release(2);
  EVENTUALLY(sink.units == 2);
  // The owner does not read: nothing is encoded.
  sink.unwanted = true;
  producer_frame(&p, 9, 3, whole);
  CHECK(producer_quiet(&p) && fake_get_calls().encodes == 2);
  sink.unwanted = false;
  sbm_engine_wake(engine);
  expect_release(9);
  EVENTUALLY(sink.units == 3);
  sbm_engine_stats stats;
  sbm_engine_get_stats(engine, &stats);
  CHECK(stats.dropped_before_encode == 6 && stats.frames_in == 9);
  // The owner takes no events at all: the source is not read.
  sink.full = true;
  sbm_engine_wake(engine);
  producer_frame(&p, 10, 1, whole);
  CHECK(producer_quiet(&p));
  sink.full = false;
  sbm_engine_wake(engine);
  expect_release(10);
  stop_scanout(engine);
}

static void a_late_viewer_gets_a_key_frame(void) {
  sbm_engine* const engine = start_scanout(240, 0);
  producer_frame(&p, 1, 1, whole);
  expect_release(1);
  EVENTUALLY(sink.units == 1);
  CHECK(producer_quiet(&p) && sink.units == 1);
  sbm_engine_request_key_frame(engine);
  EVENTUALLY(sink.keys == 2);
  CHECK(sink.keepalives == 1 && fake_get_calls().forced_keys == 1);
  stop_scanout(engine);
}

static void a_still_desktop_is_kept_alive(void) {
  sbm_engine* const engine = start_scanout(240, 100);
  producer_frame(&p, 1, 1, whole);
  expect_release(1);
  EVENTUALLY(sink.keepalives >= 3);
  CHECK(sink.keys == 1 && sink.units == sink.keepalives + 1);
  stop_scanout(engine);
}

static void blank_means_blank(void) {
  sbm_engine* const engine = start_scanout(240, 100);
  producer_frame(&p, 1, 1, whole);
  expect_release(1);
  EVENTUALLY(sink.units >= 1);
  producer_state(&p, SB_STREAM_STATE_BLANK);
  EVENTUALLY(sink.state == SBM_BLANK);
  EVENTUALLY(fake_iosurface_use_count(surfaces[0]) == 0);
  const unsigned units = sink.units;
  sbm_engine_request_key_frame(engine);
  for (int i = 0; i < 300; i++) nap();
  CHECK(sink.units == units);
  producer_reset(&p, SB_RESET_REASON_GUEST_RESET);
  EVENTUALLY(sink.resets == 1 && sink.state == SBM_WAITING);
  producer_surface(&p, 1, surfaces[0], 0);
  producer_frame(&p, 2, 1, whole);
  expect_release(2);
  EVENTUALLY(sink.units > units && sink.state == SBM_LIVE);
  CHECK(sink.keys == 2);
  stop_scanout(engine);
}

static void a_part_of_a_surface_is_copied(void) {
  sbm_engine* const engine = start_scanout(240, 0);
  producer_frame(&p, 1, 1, whole);
  expect_release(1);
  EVENTUALLY(sink.units == 1);
  producer_frame(&p, 2, 2, (struct sb_rect){8, 8, 40, 30});
  expect_release(2);
  EVENTUALLY(sink.units == 2 && sink.configs == 2 && sink.keys == 2);
  CHECK(sink.last_config.width == 40 && sink.last_config.height == 30);
  EVENTUALLY(fake_iosurface_use_count(surfaces[1]) == 0);
  producer_gone(&p, 3);
  producer_surface(&p, 4, surfaces[2], SB_SURFACE_FLAG_Y_INVERTED);
  producer_frame(&p, 3, 4, whole);
  expect_release(3);
  EVENTUALLY(sink.units == 3 && sink.configs == 3);
  sbm_engine_stats stats;
  sbm_engine_get_stats(engine, &stats);
  CHECK(stats.copied == 2);
  stop_scanout(engine);
}

static void a_dead_encoder_is_replaced(void) {
  sbm_engine* const engine = start_scanout(240, 0);
  producer_frame(&p, 1, 1, whole);
  expect_release(1);
  EVENTUALLY(sink.units == 1);
  fake_set_encoder(&(fake_encoder){.encode_status = kVTInvalidSessionErr});
  producer_frame(&p, 2, 2, whole);
  expect_release(2);
  EVENTUALLY(fake_get_calls().encodes >= 2);
  fake_set_encoder(&(fake_encoder){0});
  EVENTUALLY(sink.units == 2 && sink.keys == 2);
  sbm_engine_stats stats = {0};
  sbm_engine_wake(engine);
  for (int i = 0; i < 1000 && stats.rebuilds == 0; i++, nap()) sbm_engine_get_stats(engine, &stats);
  CHECK(stats.rebuilds >= 1 && sink.ends == 0);
  stop_scanout(engine);
}

static void ends(fake_encoder behaviour, const char* code) {
  sbm_engine* const engine = start_scanout(240, 0);
  fake_set_encoder(&behaviour);
  producer_frame(&p, 1, 1, whole);
  EVENTUALLY(sink.ends == 1);
  CHECK(strcmp(sink.error.code, code) == 0);
  stop_scanout(engine);
}

static void failures_end_the_engine(void) {
  ends((fake_encoder){.create_status = kVTCouldNotFindVideoEncoderErr}, "ENCODER_MISSING");
  ends((fake_encoder){.bad_lengths = true}, "ENCODER_FAILED");
  sbm_engine* engine = start_scanout(240, 0);
  producer_end(&p, SB_SURFACE_ERROR_NONE, "");
  EVENTUALLY(sink.ends == 1);
  CHECK(sink.error.code[0] == '\0');
  stop_scanout(engine);
  engine = start_scanout(240, 0);
  producer_frame(&p, 1, 44, whole);
  EVENTUALLY(sink.ends == 1);
  CHECK(strcmp(sink.error.code, "SURFACE_BAD_VALUE") == 0);
  stop_scanout(engine);
  const sbm_target target = {.socket = "/nonexistent", .subscribe = SB_MSG_SUBSCRIBE_SCANOUT};
  const sbm_engine_options options = {
      .target = &target, .codec = kCMVideoCodecType_H264, .bitrate_kbps = 1, .max_fps = 1};
  engine = start(&options);
  EVENTUALLY(sink.ends == 1);
  CHECK(strcmp(sink.error.code, "SURFACE_CONNECT") == 0);
  sbm_engine_destroy(engine);
  fake_fail_iosurface(1);
  const sbm_engine_options pattern = {.pattern_width = 64,
                                      .pattern_height = 48,
                                      .pattern_fps = 10,
                                      .codec = kCMVideoCodecType_H264,
                                      .bitrate_kbps = 1,
                                      .max_fps = 10};
  engine = start(&pattern);
  EVENTUALLY(sink.ends == 1);
  CHECK(strcmp(sink.error.code, "SURFACE_NO_MEMORY") == 0);
  sbm_engine_destroy(engine);
}

static void key_frames_that_never_come_end_the_engine(void) {
  sbm_engine* const engine = start_scanout(240, 0);
  fake_set_encoder(&(fake_encoder){.ignore_key_requests = true});
  producer_frame(&p, 1, 1, whole);
  EVENTUALLY(sink.units == 1);
  sbm_engine_request_key_frame(engine);
  EVENTUALLY(sink.ends == 1);
  CHECK(strcmp(sink.error.code, "ENCODER_FAILED") == 0);
  // Not for ever, and not at the first time.
  CHECK(sink.units >= 3 && sink.units <= 6);
  stop_scanout(engine);
}

/// A rate above the wanted one: fewer are encoded.
static void the_rate_is_bounded(void) {
  const sbm_engine_options options = {.pattern_width = 64,
                                      .pattern_height = 48,
                                      .pattern_fps = 240,
                                      .codec = kCMVideoCodecType_H264,
                                      .bitrate_kbps = 3000,
                                      .max_fps = 10};
  sbm_engine* const engine = start(&options);
  EVENTUALLY(sink.units >= 4);
  sbm_engine_stats stats;
  sbm_engine_get_stats(engine, &stats);
  CHECK(stats.frames_in >= 3 * stats.encoded);
  sbm_engine_destroy(engine);
}

int main(int argc, char** argv) {
  RUN(a_pattern_is_encoded);
  RUN(odd_patterns_are_copied);
  RUN(scanout_frames_are_encoded_in_place);
  RUN(pictures_are_dropped_before_the_encoder);
  RUN(a_late_viewer_gets_a_key_frame);
  RUN(a_still_desktop_is_kept_alive);
  RUN(blank_means_blank);
  RUN(a_part_of_a_surface_is_copied);
  RUN(a_dead_encoder_is_replaced);
  RUN(failures_end_the_engine);
  RUN(key_frames_that_never_come_end_the_engine);
  RUN(the_rate_is_bounded);
  return 0;
}
