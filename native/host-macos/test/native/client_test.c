// SPDX-License-Identifier: Apache-2.0
// The client of the surface protocol, against a producer that a test plays.
#include "surface/client.h"

#include <CoreVideo/CoreVideo.h>
#include <poll.h>
#include <sys/socket.h>

#include "check.h"
#include "producer.h"

static unsigned states, resets, cursors;

static void on_state(void* context, enum sb_stream_state state) {
  (void)context;
  CHECK(state >= SB_STREAM_STATE_ACTIVE && state <= SB_STREAM_STATE_WAITING);
  states++;
}
static void on_reset(void* context, enum sb_reset_reason reason) {
  (void)context;
  CHECK(reason == SB_RESET_REASON_GUEST_RESET);
  resets++;
}
static void on_cursor(void* context, const struct sb_cursor* cursor, const uint8_t* pixels) {
  (void)context;
  CHECK(cursor->x == 3 && cursor->y == -4 && pixels[0] == 0xab && pixels[15] == 0xab);
  cursors++;
}

static producer p;
static sbm_client* client;
static sbm_error error;
static IOSurfaceRef surface;
static const struct sb_rect whole = {0, 0, 64, 48};

static void open_client(void) {
  states = resets = cursors = 0;
  producer_listen(&p);
  const sbm_target target = {
      .socket = p.path, .subscribe = SB_MSG_SUBSCRIBE_SCANOUT, .number = 2, .cursor = true};
  const sbm_client_observer observer = {NULL, on_state, on_reset, on_cursor};
  client = sbm_client_open(&target, &observer, &error);
  CHECK(client != NULL);
  surface = fake_iosurface(64, 48, kCVPixelFormatType_32BGRA);
}

static void close_client(void) {
  sbm_client_close(client);
  producer_close(&p);
  CFRelease(surface);
}

/// Dispatches what has arrived. False: the stream is over.
static bool dispatch(void) {
  struct pollfd polled = {.fd = sbm_client_fd(client), .events = POLLIN};
  if (!sbm_client_has_buffered(client)) (void)poll(&polled, 1, 5);
  return sbm_client_dispatch(client, &error);
}

/// The producer's side and this one are one thread, so both are kept going.
static void subscribe(void) {
  producer_connect(&p);
  producer_hello(&p, SB_CAPABILITY_IOSURFACE);
  CHECK(dispatch());
  struct sb_subscribe_scanout message;
  producer_expect(&p, SB_MSG_SUBSCRIBE_SCANOUT, &message, sizeof message);
  const struct sb_ok ok = {
      .header = {sizeof ok, SB_MSG_OK, 0, 0, message.header.stream, message.header.serial}};
  producer_send(&p, &ok, sizeof ok);
  producer_state(&p, SB_STREAM_STATE_ACTIVE);
  CHECK(dispatch() && states == 1);
}

static void frames_are_taken_and_released(void) {
  open_client();
  subscribe();
  producer_surface(&p, 7, surface, 0);
  producer_frame(&p, 5, 7, whole);
  CHECK(dispatch());
  const sbm_frame* const frame = sbm_client_pending(client);
  CHECK(frame != NULL && frame->sequence == 5 && frame->pts == 5000000 && frame->replaced == 0);
  CHECK(frame->arrival != 0 && frame->crop.width == 64 && sbm_picture_width(frame->picture) == 64);
  CHECK(producer_quiet(&p));
  sbm_client_release(client);
  CHECK(sbm_client_pending(client) == NULL);
  struct sb_release release;
  producer_expect(&p, SB_MSG_RELEASE, &release, sizeof release);
  CHECK(release.sequence == 5);
  sbm_client_release(client);
  CHECK(producer_quiet(&p));
  producer_frame(&p, 9, 7, (struct sb_rect){10, 8, 54, 40});
  CHECK(dispatch());
  CHECK(sbm_client_pending(client)->replaced == 3);
  // A surface that the producer takes back stays readable as long as its frame is here.
  producer_gone(&p, 7);
  CHECK(dispatch());
  CHECK(sbm_picture_height(sbm_client_pending(client)->picture) == 48);
  producer_cursor(&p);
  CHECK(dispatch() && cursors == 1);
  producer_reset(&p, SB_RESET_REASON_GUEST_RESET);
  CHECK(dispatch() && resets == 1);
  CHECK(sbm_client_pending(client) == NULL);
  producer_surface(&p, 7, surface, 0);
  CHECK(dispatch());
  producer_end(&p, SB_SURFACE_ERROR_NONE, "");
  CHECK(!dispatch() && error.code[0] == '\0');
  close_client();
}

/// Messages cut into single bytes.
static void cut_messages_are_put_together(void) {
  open_client();
  subscribe();
  uint8_t bytes[sizeof(struct sb_state) * 3];
  for (int i = 0; i < 3; i++)
    memcpy(bytes + (size_t)i * sizeof(struct sb_state),
           &(struct sb_state){.header = {sizeof(struct sb_state), SB_MSG_STATE, 0, 0, 1, 0},
                              .state = SB_STREAM_STATE_WAITING},
           sizeof(struct sb_state));
  for (size_t i = 0; i < sizeof bytes; i++) {
    producer_send(&p, bytes + i, 1);
    CHECK(dispatch());
  }
  CHECK(states == 4);
  close_client();
}

/// Ends the stream by what `send` sends; the code must be this one.
static void refused(void (*send)(void), const char* code) {
  open_client();
  subscribe();
  send();
  for (int i = 0; dispatch(); i++) CHECK(i < 10);
  if (strcmp(error.code, code) != 0) fprintf(stderr, "%s: %s\n", error.code, error.message);
  CHECK(strcmp(error.code, code) == 0 && error.message[0] != '\0' && error.remedy[0] != '\0');
  close_client();
}

static void unknown_surface(void) {
  producer_frame(&p, 1, 7, whole);
}
static void two_frames(void) {
  producer_surface(&p, 7, surface, 0);
  producer_frame(&p, 1, 7, whole);
  producer_frame(&p, 2, 7, whole);
}
static void old_sequence(void) {
  producer_surface(&p, 7, surface, 0);
  producer_frame(&p, 3, 7, whole);
  CHECK(dispatch());
  sbm_client_release(client);
  producer_frame(&p, 3, 7, whole);
}
static void old_time(void) {
  producer_surface(&p, 7, surface, 0);
  producer_frame(&p, 3, 7, whole);
  CHECK(dispatch());
  sbm_client_release(client);
  const struct sb_frame message = {.header = {sizeof message, SB_MSG_FRAME, 0, 0, 1, 0},
                                   .sequence = 4,
                                   .pts = 2999999,
                                   .surface = 7,
                                   .crop = whole};
  producer_send(&p, &message, sizeof message);
}
static void crop_outside(void) {
  producer_surface(&p, 7, surface, 0);
  producer_frame(&p, 1, 7, (struct sb_rect){1, 0, 64, 48});
}
static void crop_below(void) {
  producer_surface(&p, 7, surface, 0);
  producer_frame(&p, 1, 7, (struct sb_rect){0, 40, 64, 9});
}
static void empty_crop(void) {
  producer_surface(&p, 7, surface, 0);
  producer_frame(&p, 1, 7, (struct sb_rect){0, 0, 0, 0});
}
static void same_id(void) {
  producer_surface(&p, 7, surface, 0);
  producer_surface(&p, 7, surface, 0);
}
static void too_many(void) {
  for (uint32_t i = 1; i <= SB_MAX_SURFACES + 1; i++) producer_surface(&p, i, surface, 0);
}
static void gone_twice(void) {
  producer_gone(&p, 3);
}
static void lying_surface(void) {
  fake_iosurface_lie(surface, 16, 16);
  producer_surface(&p, 7, surface, 0);
}
static void second_hello(void) {
  producer_hello(&p, SB_CAPABILITY_IOSURFACE);
}
static void second_answer(void) {
  const struct sb_ok ok = {.header = {sizeof ok, SB_MSG_OK, 0, 0, 1, 1}};
  producer_send(&p, &ok, sizeof ok);
}
static void other_stream(void) {
  const struct sb_state message = {.header = {sizeof message, SB_MSG_STATE, 0, 0, 2, 0},
                                   .state = 1};
  producer_send(&p, &message, sizeof message);
}
static void wrong_length(void) {
  const struct sb_state message = {.header = {5000, SB_MSG_STATE, 0, 0, 1, 0}, .state = 1};
  producer_send(&p, &message, sizeof message);
}
static void wrong_value(void) {
  producer_state(&p, 77);
}
static void pong(void) {
  const struct sb_pong message = {.header = {sizeof message, SB_MSG_PONG, 0, 0, 0, 1}};
  producer_send(&p, &message, sizeof message);
}
static void source_failed(void) {
  producer_end(&p, SB_SURFACE_ERROR_NO_SUCH_RESOURCE, "the guest has freed the resource");
}
static void hang_up(void) {
  shutdown(p.fd, 2);
}

static void violations_end_the_stream(void) {
  refused(unknown_surface, "SURFACE_BAD_VALUE");
  refused(two_frames, "SURFACE_BAD_STATE");
  refused(old_sequence, "SURFACE_BAD_VALUE");
  refused(old_time, "SURFACE_BAD_VALUE");
  refused(crop_outside, "SURFACE_BAD_VALUE");
  refused(crop_below, "SURFACE_BAD_VALUE");
  refused(empty_crop, "SURFACE_BAD_VALUE");
  refused(same_id, "SURFACE_BAD_VALUE");
  refused(too_many, "SURFACE_TOO_MANY");
  refused(gone_twice, "SURFACE_BAD_VALUE");
  refused(lying_surface, "SURFACE_BAD_VALUE");
  refused(second_hello, "SURFACE_BAD_STATE");
  refused(second_answer, "SURFACE_BAD_STATE");
  refused(other_stream, "SURFACE_BAD_STREAM");
  refused(wrong_length, "SURFACE_BAD_LENGTH");
  refused(wrong_value, "SURFACE_BAD_VALUE");
  refused(pong, "SURFACE_BAD_STREAM");
  refused(source_failed, "SURFACE_NO_SUCH_RESOURCE");
  refused(hang_up, "SURFACE_CLOSED");
}

static void a_producer_without_iosurfaces_is_refused(void) {
  open_client();
  producer_connect(&p);
  producer_hello(&p, SB_CAPABILITY_MEMFD);
  CHECK(!dispatch() && strcmp(error.code, "SURFACE_UNSUPPORTED") == 0);
  close_client();
  open_client();
  producer_connect(&p);
  producer_state(&p, SB_STREAM_STATE_ACTIVE);
  CHECK(!dispatch() && strcmp(error.code, "SURFACE_BAD_STREAM") == 0);
  close_client();
}

static void nobody_listens(void) {
  const sbm_target target = {.socket = "/nonexistent/socket",
                             .subscribe = SB_MSG_SUBSCRIBE_SCANOUT};
  const sbm_client_observer observer = {NULL, on_state, on_reset, on_cursor};
  CHECK(sbm_client_open(&target, &observer, &error) == NULL);
  CHECK(strcmp(error.code, "SURFACE_CONNECT") == 0);
  char path[300];
  memset(path, 'x', sizeof path);
  path[sizeof path - 1] = '\0';
  const sbm_target longer = {.socket = path, .subscribe = SB_MSG_SUBSCRIBE_SCANOUT};
  CHECK(sbm_client_open(&longer, &observer, &error) == NULL);
}

int main(int argc, char** argv) {
  RUN(frames_are_taken_and_released);
  RUN(cut_messages_are_put_together);
  RUN(violations_end_the_stream);
  RUN(a_producer_without_iosurfaces_is_refused);
  RUN(nobody_listens);
  return 0;
}
