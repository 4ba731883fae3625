// SPDX-License-Identifier: Apache-2.0
// Pictures, sessions, and the thread that encodes.
#include "videotoolbox/encoder.h"

#include <VideoToolbox/VideoToolbox.h>
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"
#include "videotoolbox/memory.h"

static struct sb_surface message_for(IOSurfaceRef surface, uint32_t width, uint32_t height) {
  return (struct sb_surface){.surface = 1,
                             .kind = SB_SURFACE_KIND_IOSURFACE,
                             .width = width,
                             .height = height,
                             .format = 0x34325258,
                             .iosurface_id = IOSurfaceGetID(surface)};
}

/// The code with which a message is refused, or "".
static const char* refusal(const struct sb_surface* message) {
  static sbm_error error;
  error.code[0] = '\0';
  sbm_picture* const picture = sbm_picture_lookup(message, &error);
  if (picture == NULL) CHECK(error.code[0] != '\0' && error.remedy[0] != '\0');
  sbm_picture_unref(picture);
  return error.code;
}

static void pictures_are_checked(void) {
  IOSurfaceRef const surface = fake_iosurface(64, 48, kCVPixelFormatType_32BGRA);
  struct sb_surface message = message_for(surface, 64, 48);
  CHECK(strcmp(refusal(&message), "") == 0);
  message.format = 0x34325241;
  CHECK(strcmp(refusal(&message), "") == 0);
  message.format = 0x34324258;
  CHECK(strcmp(refusal(&message), "SURFACE_UNSUPPORTED") == 0);
  message = message_for(surface, 65, 48);
  CHECK(strcmp(refusal(&message), "SURFACE_BAD_VALUE") == 0);
  message = message_for(surface, 64, 47);
  CHECK(strcmp(refusal(&message), "SURFACE_BAD_VALUE") == 0);
  message = message_for(surface, 64, 48);
  message.kind = SB_SURFACE_KIND_MEMFD;
  CHECK(strcmp(refusal(&message), "SURFACE_UNSUPPORTED") == 0);
  message = message_for(surface, 64, 48);
  message.plane_count = 1;
  CHECK(strcmp(refusal(&message), "SURFACE_BAD_VALUE") == 0);
  message = message_for(surface, 64, 48);
  message.flags = SB_SURFACE_FLAG_EXPLICIT_SYNC;
  CHECK(strcmp(refusal(&message), "SURFACE_BAD_VALUE") == 0);
  message = message_for(surface, 64, 48);
  fake_iosurface_lie(surface, 64 * 4 - 4, 1u << 20);
  CHECK(strcmp(refusal(&message), "SURFACE_BAD_VALUE") == 0);
  fake_iosurface_lie(surface, 64 * 4, 64 * 4 * 48 - 1);
  CHECK(strcmp(refusal(&message), "SURFACE_BAD_VALUE") == 0);
  fake_iosurface_lie(surface, 64 * 4, 64 * 4 * 48);
  CHECK(strcmp(refusal(&message), "") == 0);
  fake_fail_pixel_buffer(1);
  CHECK(strcmp(refusal(&message), "SURFACE_NO_MEMORY") == 0);
  message.iosurface_id = 999999;
  CHECK(strcmp(refusal(&message), "SURFACE_LOST") == 0);
  CFRelease(surface);
  IOSurfaceRef const other = fake_iosurface(64, 48, 0x34323076);
  message = message_for(other, 64, 48);
  CHECK(strcmp(refusal(&message), "SURFACE_BAD_VALUE") == 0);
  CFRelease(other);
  fake_fail_iosurface(1);
  sbm_error error;
  CHECK(sbm_picture_create(64, 48, &error) == NULL);
  CHECK(strcmp(error.code, "SURFACE_NO_MEMORY") == 0);
}

static void holding_counts_uses(void) {
  IOSurfaceRef const surface = fake_iosurface(64, 48, kCVPixelFormatType_32BGRA);
  const struct sb_surface message = message_for(surface, 64, 48);
  sbm_picture* const picture = sbm_picture_lookup(&message, NULL);
  CHECK(!sbm_picture_in_use(picture));
  sbm_picture* const held = sbm_picture_hold(picture);
  CHECK(fake_iosurface_use_count(surface) == 1 && sbm_picture_in_use(held));
  sbm_picture_unref(picture);
  CHECK(sbm_picture_width(held) == 64 && sbm_picture_height(held) == 48);
  sbm_picture_release(held);
  CHECK(fake_iosurface_use_count(surface) == 0);
  CFRelease(surface);
}

static void number_pixels(void* context, uint8_t* pixels, size_t stride) {
  const uint32_t* const size = context;
  for (uint32_t y = 0; y < size[1]; y++)
    for (uint32_t x = 0; x < size[0]; x++)
      memcpy(pixels + y * stride + x * 4, &(uint32_t){y << 16 | x}, 4);
}

static uint32_t pixel(const uint8_t* pixels, uint32_t width, uint32_t x, uint32_t y) {
  uint32_t value;
  memcpy(&value, pixels + ((size_t)y * width + x) * 4, 4);
  return value;
}

static void copies_are_right(void) {
  uint32_t size[2] = {40, 30};
  sbm_error error;
  sbm_picture* const from = sbm_picture_create(size[0], size[1], &error);
  sbm_picture* const to = sbm_picture_create(22, 18, &error);
  CHECK(sbm_picture_paint(from, number_pixels, size));
  const struct sb_rect crop = {5, 7, 21, 17}, whole = {0, 0, 22, 18};
  CHECK(sbm_picture_copy(to, from, &crop));
  uint8_t* const pixels = malloc(22 * 18 * 4);
  CHECK(sbm_picture_read(to, &whole, pixels));
  CHECK(pixel(pixels, 22, 0, 0) == (7u << 16 | 5u));
  CHECK(pixel(pixels, 22, 20, 16) == (23u << 16 | 25u));
  // What is too much repeats the edge.
  CHECK(pixel(pixels, 22, 21, 3) == pixel(pixels, 22, 20, 3));
  CHECK(pixel(pixels, 22, 4, 17) == pixel(pixels, 22, 4, 16));
  free(pixels);
  const struct sb_rect outside = {20, 0, 21, 1}, none = {0, 0, 0, 1}, large = {0, 0, 23, 18};
  CHECK(!sbm_picture_copy(to, from, &outside) && !sbm_picture_copy(to, from, &none));
  CHECK(!sbm_picture_copy(to, from, &large) && !sbm_picture_read(from, &outside, NULL));
  sbm_picture_unref(from);
  sbm_picture_unref(to);
}

static void inverted_pictures_are_turned(void) {
  IOSurfaceRef const surface = fake_iosurface(16, 16, kCVPixelFormatType_32BGRA);
  struct sb_surface message = message_for(surface, 16, 16);
  message.flags = SB_SURFACE_FLAG_Y_INVERTED;
  sbm_picture* const picture = sbm_picture_lookup(&message, NULL);
  uint32_t size[2] = {16, 16};
  uint8_t row[16 * 4];
  CHECK(sbm_picture_y_inverted(picture) && sbm_picture_paint(picture, number_pixels, size));
  CHECK(sbm_picture_read(picture, &(struct sb_rect){0, 0, 16, 1}, row));
  CHECK(pixel(row, 16, 3, 0) == (15u << 16 | 3u));
  CHECK(fake_iosurface_lock_count(surface) == 0);
  sbm_picture_unref(picture);
  CFRelease(surface);
}

/// What an encoder told.
typedef struct {
  atomic_uint units, keys, dropped, failed, asked;
  atomic_uint_least64_t last_frame, thread;
  atomic_uint width, inside;
  /// Takes its time to be told.
  atomic_bool slow;
  sbm_error error;
} told;

static void on_unit(void* context, uint64_t frame, const sbm_unit* unit, bool asked) {
  told* const t = context;
  CHECK(unit->headroom == 32 && unit->size > 0);
  atomic_fetch_add(&t->inside, 1);
  for (int i = 0; i < 20 && t->slow; i++) nap();
  if (unit->key) {
    atomic_fetch_add(&t->keys, 1);
    CHECK(unit->sequence.codec[0] != '\0');
    atomic_store(&t->width, unit->sequence.width);
  }
  if (asked) atomic_fetch_add(&t->asked, 1);
  free(unit->memory);
  atomic_store(&t->last_frame, frame);
  atomic_store(&t->thread, (uint64_t)(uintptr_t)pthread_self());
  atomic_fetch_add(&t->units, 1);
  atomic_fetch_sub(&t->inside, 1);
}

static void on_dropped(void* context, uint64_t frame, bool asked) {
  told* const t = context;
  (void)frame;
  if (asked) atomic_fetch_add(&t->asked, 1);
  atomic_fetch_add(&t->dropped, 1);
}

static void on_failed(void* context, const sbm_error* error) {
  told* const t = context;
  t->error = *error;
  atomic_fetch_add(&t->failed, 1);
}

static sbm_encoder* make_sized(told* t, CMVideoCodecType codec, uint32_t width) {
  memset(t, 0, sizeof *t);
  const sbm_session_settings settings = {.width = width,
                                         .height = 48,
                                         .codec = codec,
                                         .bitrate_kbps = 4000,
                                         .max_fps = 60,
                                         .headroom = 32};
  const sbm_encoder_observer observer = {t, on_unit, on_dropped, on_failed};
  sbm_encoder* const encoder = sbm_encoder_create(&settings, &observer);
  CHECK(encoder != NULL);
  return encoder;
}

static sbm_encoder* make(told* t, CMVideoCodecType codec) {
  return make_sized(t, codec, 64);
}

static sbm_picture* some_picture(void) {
  return sbm_picture_create(64, 48, NULL);
}

static void encodes_both_codecs(void) {
  for (int hevc = 0; hevc < 2; hevc++) {
    told t;
    sbm_encoder* const encoder = make(&t, hevc ? kCMVideoCodecType_HEVC : kCMVideoCodecType_H264);
    sbm_picture* const picture = some_picture();
    for (uint64_t frame = 1; frame <= 5; frame++) {
      EVENTUALLY(!sbm_encoder_busy(encoder));
      CHECK(sbm_encoder_submit(encoder, picture, frame, frame * 1000, frame == 4));
      EVENTUALLY(t.units == frame);
      CHECK(t.last_frame == frame);
    }
    CHECK(t.keys == 2 && t.asked == 1 && t.dropped == 0 && t.failed == 0);
    const fake_calls calls = fake_get_calls();
    CHECK(calls.last_pts == 5000 && calls.low_latency == (unsigned)hevc + 1);
    CHECK(calls.last_bitrate == 4000000);
    // Neither the test's thread nor the service's.
    CHECK(calls.encode_thread != (uint64_t)(uintptr_t)pthread_self());
    CHECK(calls.encode_thread != t.thread);
    char text[48];
    sbm_encoder_description(encoder, text, sizeof text);
    CHECK(strcmp(text, "hardware, low latency") == 0);
    sbm_picture_unref(picture);
    sbm_encoder_destroy(encoder);
    CHECK(sbm_memory_reserved() == 0);
  }
}

static void one_picture_at_a_time(void) {
  fake_set_encoder(&(fake_encoder){.hold_outputs = true});
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  IOSurfaceRef const surface = fake_iosurface(64, 48, kCVPixelFormatType_32BGRA);
  const struct sb_surface message = message_for(surface, 64, 48);
  sbm_picture* const picture = sbm_picture_lookup(&message, NULL);
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  CHECK(sbm_encoder_busy(encoder) && !sbm_encoder_submit(encoder, picture, 2, 2000, false));
  EVENTUALLY(fake_get_calls().encodes == 1);
  // While it is being encoded nobody draws into it.
  sbm_picture_unref(picture);
  CHECK(fake_iosurface_use_count(surface) > 0);
  fake_release_outputs();
  EVENTUALLY(t.units == 1 && !sbm_encoder_busy(encoder));
  EVENTUALLY(fake_iosurface_use_count(surface) == 0);
  sbm_encoder_destroy(encoder);
  CFRelease(surface);
}

static void a_blocked_service_blocks_nobody(void) {
  fake_set_encoder(&(fake_encoder){.hold_encode = true});
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  sbm_picture* const picture = some_picture();
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(fake_get_calls().encodes == 1);
  CHECK(sbm_encoder_busy(encoder));
  sbm_encoder_set_bitrate(encoder, 7000);
  fake_release_encode();
  EVENTUALLY(t.units == 1);
  EVENTUALLY(fake_get_calls().last_bitrate == 7000000);
  sbm_picture_unref(picture);
  sbm_encoder_destroy(encoder);
}

static void dropped_frames_are_told(void) {
  fake_set_encoder(&(fake_encoder){.drop_frames = 1});
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  sbm_picture* const picture = some_picture();
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, true));
  EVENTUALLY(t.dropped == 1 && t.asked == 1 && !sbm_encoder_busy(encoder));
  CHECK(sbm_encoder_submit(encoder, picture, 2, 2000, true));
  EVENTUALLY(t.units == 1);
  sbm_picture_unref(picture);
  sbm_encoder_destroy(encoder);
}

/// Encodes three pictures with this behaviour from the second one on, which then goes away.
static void survive(fake_encoder behaviour) {
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  sbm_picture* const picture = some_picture();
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(t.units == 1);
  EVENTUALLY(!sbm_encoder_busy(encoder));
  fake_set_encoder(&behaviour);
  CHECK(sbm_encoder_submit(encoder, picture, 2, 2000, false));
  EVENTUALLY(sbm_encoder_rebuilds(encoder) >= 1);
  fake_set_encoder(&(fake_encoder){0});
  EVENTUALLY(t.units == 2 && t.last_frame == 2);
  // What comes after a new session is a key frame, or decoders could not go on.
  CHECK(t.keys == 2 && t.failed == 0);
  EVENTUALLY(!sbm_encoder_busy(encoder));
  CHECK(sbm_encoder_submit(encoder, picture, 3, 3000, false));
  EVENTUALLY(t.units == 3);
  CHECK(t.keys == 2);
  sbm_picture_unref(picture);
  sbm_encoder_destroy(encoder);
  CHECK(sbm_memory_reserved() == 0);
  CHECK(fake_get_calls().creates == fake_get_calls().invalidates);
}

static void a_dead_service_is_replaced(void) {
  survive((fake_encoder){.output_status = kVTVideoEncoderMalfunctionErr});
  fake_reset();
  survive((fake_encoder){.encode_status = kVTInvalidSessionErr});
  fake_reset();
  survive((fake_encoder){.output_status = -308});
}

static void a_service_that_stays_dead_is_told(void) {
  fake_set_encoder(&(fake_encoder){.output_status = kVTVideoEncoderMalfunctionErr});
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  sbm_picture* const picture = some_picture();
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(t.failed == 1);
  CHECK(strcmp(t.error.code, "ENCODER_DIED") == 0 && t.units == 0);
  CHECK(fake_get_calls().encodes == SBM_ENCODER_ATTEMPTS);
  CHECK(sbm_encoder_busy(encoder) && !sbm_encoder_submit(encoder, picture, 2, 2000, false));
  sbm_picture_unref(picture);
  sbm_encoder_destroy(encoder);
  CHECK(sbm_memory_reserved() == 0);
}

static void failures_without_hope_are_told_at_once(void) {
  const fake_encoder behaviours[] = {{.create_status = kVTCouldNotFindVideoEncoderErr},
                                     {.output_status = kVTParameterErr},
                                     {.encode_status = kVTParameterErr},
                                     {.bad_lengths = true},
                                     {.no_parameters = true},
                                     {.reorder = 3}};
  const char* const codes[] = {"ENCODER_MISSING", "ENCODER_FAILED", "ENCODER_FAILED",
                               "ENCODER_FAILED",  "ENCODER_FAILED", "ENCODER_FAILED"};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    fake_reset();
    fake_set_encoder(&behaviours[i]);
    told t;
    sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
    sbm_picture* const picture = some_picture();
    CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
    EVENTUALLY(t.failed == 1);
    CHECK(strcmp(t.error.code, codes[i]) == 0);
    CHECK(fake_get_calls().encodes <= 1);
    sbm_picture_unref(picture);
    sbm_encoder_destroy(encoder);
    CHECK(sbm_memory_reserved() == 0);
  }
}

static void creation_is_tried_again(void) {
  fake_set_encoder(
      &(fake_encoder){.create_status = kVTVideoEncoderNotAvailableNowErr, .creations = 2});
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  sbm_picture* const picture = some_picture();
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(t.units == 1);
  CHECK(fake_get_calls().creates == 3 && t.failed == 0);
  sbm_picture_unref(picture);
  sbm_encoder_destroy(encoder);
}

static void older_systems_do_without(void) {
  fake_set_encoder(&(fake_encoder){
      .no_low_latency = true, .no_properties = true, .no_vui = true, .split = 7, .nal_header = 3});
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  sbm_picture* const picture = some_picture();
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(t.units == 1 && t.keys == 1);
  char text[48];
  sbm_encoder_description(encoder, text, sizeof text);
  CHECK(strcmp(text, "hardware") == 0 && fake_get_calls().low_latency == 0);
  sbm_picture_unref(picture);
  sbm_encoder_destroy(encoder);
}

static void late_and_repeated_call_backs_are_harmless(void) {
  fake_set_encoder(&(fake_encoder){.hold_outputs = true, .late_outputs = true});
  told t;
  sbm_encoder* encoder = make(&t, kCMVideoCodecType_H264);
  sbm_picture* const picture = some_picture();
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(fake_get_calls().encodes == 1);
  sbm_encoder_destroy(encoder);
  CHECK(!sbm_picture_in_use(picture));
  fake_release_outputs();
  fake_settle();
  CHECK(fake_get_calls().outputs == 1 && t.units == 0);

  // A call-back of a session that is gone is not taken for one of the next session.
  fake_reset();
  fake_set_encoder(&(fake_encoder){.hold_outputs = true, .late_outputs = true});
  encoder = make_sized(&t, kCMVideoCodecType_H264, 48);
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(fake_get_calls().encodes == 1);
  sbm_encoder_destroy(encoder);
  encoder = make(&t, kCMVideoCodecType_H264);
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(fake_get_calls().encodes == 2);
  fake_release_outputs();
  EVENTUALLY(t.units == 1);
  CHECK(t.width == 64);
  sbm_encoder_destroy(encoder);

  fake_reset();
  fake_set_encoder(&(fake_encoder){.repeat_outputs = true});
  encoder = make(&t, kCMVideoCodecType_H264);
  for (uint64_t frame = 1; frame <= 20; frame++) {
    EVENTUALLY(!sbm_encoder_busy(encoder));
    CHECK(sbm_encoder_submit(encoder, picture, frame, frame * 1000, false));
    EVENTUALLY(t.units == frame);
  }
  fake_settle();
  CHECK(t.units == 20);
  sbm_picture_unref(picture);
  sbm_encoder_destroy(encoder);
}

/// Frames that never come out: destroying gives everything back.
static void swallowed_frames_are_freed(void) {
  fake_set_encoder(&(fake_encoder){.swallow = true});
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  sbm_picture* const picture = some_picture();
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(fake_get_calls().encodes == 1);
  sbm_encoder_destroy(encoder);
  CHECK(!sbm_picture_in_use(picture) && t.units == 0);
  sbm_picture_unref(picture);
}

/// Sessions come and go while call-backs are under way.
static void sessions_come_and_go(void) {
  fake_set_encoder(&(fake_encoder){.late_outputs = true});
  sbm_picture* const picture = some_picture();
  for (int round = 0; round < 40; round++) {
    told t;
    sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
    CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
    if (round % 2 == 0) nap();
    sbm_encoder_destroy(encoder);
  }
  // After it has been destroyed, nobody is told anything any more.
  told t;
  sbm_encoder* const encoder = make(&t, kCMVideoCodecType_H264);
  t.slow = true;
  CHECK(sbm_encoder_submit(encoder, picture, 1, 1000, false));
  EVENTUALLY(t.inside == 1);
  sbm_encoder_destroy(encoder);
  CHECK(t.inside == 0 && t.units == 1);
  fake_settle();
  sbm_picture_unref(picture);
  CHECK(sbm_memory_reserved() == 0);
}

static void sessions_have_limits(void) {
  const sbm_session_settings settings = {.width = 5120,
                                         .height = 2880,
                                         .codec = kCMVideoCodecType_H264,
                                         .bitrate_kbps = 1,
                                         .max_fps = 1};
  const sbm_session_observer observer = {0};
  sbm_session* sessions[2];
  sbm_error error;
  bool again;
  for (int i = 0; i < 2; i++)
    CHECK((sessions[i] = sbm_session_create(&settings, &observer, &error, &again)) != NULL);
  CHECK(sbm_session_create(&settings, &observer, &error, &again) == NULL);
  CHECK(strcmp(error.code, "ENCODER_MEMORY") == 0 && !again);
  for (int i = 0; i < 2; i++) sbm_session_destroy(sessions[i]);
  fake_set_encoder(&(fake_encoder){.create_status = kVTAllocationFailedErr});
  CHECK(sbm_session_create(&settings, &observer, &error, &again) == NULL);
  CHECK(sbm_memory_reserved() == 0);
}

int main(int argc, char** argv) {
  RUN(pictures_are_checked);
  RUN(holding_counts_uses);
  RUN(copies_are_right);
  RUN(inverted_pictures_are_turned);
  RUN(encodes_both_codecs);
  RUN(one_picture_at_a_time);
  RUN(a_blocked_service_blocks_nobody);
  RUN(dropped_frames_are_told);
  RUN(a_dead_service_is_replaced);
  RUN(a_service_that_stays_dead_is_told);
  RUN(failures_without_hope_are_told_at_once);
  RUN(creation_is_tried_again);
  RUN(older_systems_do_without);
  RUN(late_and_repeated_call_backs_are_harmless);
  RUN(swallowed_frames_are_freed);
  RUN(sessions_come_and_go);
  RUN(sessions_have_limits);
  return 0;
}
