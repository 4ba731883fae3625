// SPDX-License-Identifier: Apache-2.0
#include "producer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

void producer_listen(producer* p) {
  static unsigned number;
  (void)snprintf(p->path, sizeof p->path, "/tmp/sbm-%d-%u", (int)getpid(), number++);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, p->path, sizeof p->path);
  p->listener = socket(AF_UNIX, SOCK_STREAM, 0);
  p->fd = -1;
  (void)unlink(p->path);
  CHECK(bind(p->listener, (struct sockaddr*)&address, sizeof address) == 0);
  CHECK(listen(p->listener, 4) == 0);
}

static void wait_for(int fd) {
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  CHECK(poll(&polled, 1, PATIENCE_MS) == 1);
}

void producer_connect(producer* p) {
  wait_for(p->listener);
  p->fd = accept(p->listener, NULL, NULL);
  CHECK(p->fd >= 0);
  struct sb_hello hello;
  producer_expect(p, SB_MSG_HELLO, &hello, sizeof hello);
  CHECK(hello.magic == SB_SURFACE_MAGIC && (hello.capabilities & SB_CAPABILITY_IOSURFACE) != 0);
  CHECK((hello.capabilities & (SB_CAPABILITY_MEMFD | SB_CAPABILITY_DMABUF)) == 0);
}

void producer_accept(producer* p) {
  producer_connect(p);
  producer_hello(p, SB_CAPABILITY_IOSURFACE);
  struct sb_subscribe_scanout subscribe;
  producer_expect(p, SB_MSG_SUBSCRIBE_SCANOUT, &subscribe, sizeof subscribe);
  CHECK(subscribe.scanout == 2 && subscribe.flags == SB_SUBSCRIBE_FLAG_CURSOR);
  const struct sb_ok ok = {
      .header = {sizeof ok, SB_MSG_OK, 0, 0, subscribe.header.stream, subscribe.header.serial}};
  producer_send(p, &ok, sizeof ok);
  producer_state(p, SB_STREAM_STATE_ACTIVE);
}

void producer_close(producer* p) {
  if (p->fd >= 0) close(p->fd);
  close(p->listener);
  unlink(p->path);
}

void producer_expect(producer* p, uint16_t type, void* message, size_t size) {
  size_t have = 0;
  while (have < size) {
    wait_for(p->fd);
    const ssize_t got = recv(p->fd, (char*)message + have, size - have, 0);
    CHECK(got > 0);
    have += (size_t)got;
  }
  CHECK(sb_check_message(message, SB_FROM_CLIENT) == 0);
  struct sb_header header;
  memcpy(&header, message, sizeof header);
  CHECK(header.type == type && header.length == size);
}

bool producer_quiet(producer* p) {
  for (int i = 0; i < 20; i++) {
    char byte;
    if (recv(p->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) return false;
    nap();
  }
  return true;
}

void producer_send(producer* p, const void* message, size_t size) {
  CHECK(send(p->fd, message, size, MSG_NOSIGNAL) == (ssize_t)size);
}

void producer_hello(producer* p, uint64_t capabilities) {
  const struct sb_hello_reply reply = {.header = {sizeof reply, SB_MSG_HELLO_REPLY, 0, 0, 0, 0},
                                       .magic = SB_SURFACE_MAGIC,
                                       .version_major = SB_SURFACE_VERSION_MAJOR,
                                       .version_minor = SB_SURFACE_VERSION_MINOR,
                                       .capabilities = capabilities,
                                       .scanout_count = 16,
                                       .max_streams = 32,
                                       .name = "test"};
  producer_send(p, &reply, sizeof reply);
}

void producer_state(producer* p, uint32_t state) {
  const struct sb_state message = {.header = {sizeof message, SB_MSG_STATE, 0, 0, 1, 0},
                                   .state = state};
  producer_send(p, &message, sizeof message);
}

void producer_surface(producer* p, uint32_t id, IOSurfaceRef surface, uint32_t flags) {
  const struct sb_surface message = {.header = {sizeof message, SB_MSG_SURFACE, 0, 0, 1, 0},
                                     .surface = id,
                                     .kind = SB_SURFACE_KIND_IOSURFACE,
                                     .width = (uint32_t)IOSurfaceGetWidth(surface),
                                     .height = (uint32_t)IOSurfaceGetHeight(surface),
                                     .format = 0x34325258,
                                     .flags = flags,
                                     .iosurface_id = IOSurfaceGetID(surface)};
  producer_send(p, &message, sizeof message);
}

void producer_gone(producer* p, uint32_t id) {
  const struct sb_surface_gone message = {
      .header = {sizeof message, SB_MSG_SURFACE_GONE, 0, 0, 1, 0}, .surface = id};
  producer_send(p, &message, sizeof message);
}

void producer_frame(producer* p, uint64_t sequence, uint32_t surface, struct sb_rect crop) {
  const struct sb_frame message = {.header = {sizeof message, SB_MSG_FRAME, 0, 0, 1, 0},
                                   .sequence = sequence,
                                   .pts = sequence * 1000000,
                                   .surface = surface,
                                   .crop = crop};
  producer_send(p, &message, sizeof message);
}

void producer_reset(producer* p, uint32_t reason) {
  const struct sb_reset message = {.header = {sizeof message, SB_MSG_RESET, 0, 0, 1, 0},
                                   .reason = reason};
  producer_send(p, &message, sizeof message);
}

void producer_end(producer* p, uint32_t code, const char* text) {
  struct sb_stream_end message = {.header = {sizeof message, SB_MSG_STREAM_END, 0, 0, 1, 0},
                                  .code = code};
  (void)snprintf(message.text, sizeof message.text, "%s", text);
  producer_send(p, &message, sizeof message);
}

void producer_cursor(producer* p) {
  uint8_t bytes[sizeof(struct sb_cursor) + 16] = {0};
  const struct sb_cursor message = {.header = {sizeof bytes, SB_MSG_CURSOR, 0, 0, 1, 0},
                                    .flags = SB_CURSOR_FLAG_VISIBLE | SB_CURSOR_FLAG_SHAPE,
                                    .x = 3,
                                    .y = -4,
                                    .width = 2,
                                    .height = 2,
                                    .pixel_bytes = 16};
  memcpy(bytes, &message, sizeof message);
  memset(bytes + sizeof message, 0xab, 16);
  producer_send(p, bytes, sizeof bytes);
}
