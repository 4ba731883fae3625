// SPDX-License-Identifier: Apache-2.0
// A producer of surfaces that a test plays, on the thread of the test.
#ifndef SCANBRIDGE_MACOS_TEST_PRODUCER_H_
#define SCANBRIDGE_MACOS_TEST_PRODUCER_H_

#include <IOSurface/IOSurface.h>
#include <scanbridge/surface.h>
#include <stdbool.h>

typedef struct {
  char path[64];
  int listener, fd;
} producer;

void producer_listen(producer* p);
/// Takes the connection, the hello and the subscription; answers both, and says ACTIVE.
void producer_accept(producer* p);
/// The same without any answer.
void producer_connect(producer* p);
void producer_close(producer* p);

/// The next message of this type; others in between are an error. Waits.
void producer_expect(producer* p, uint16_t type, void* message, size_t size);
/// True when there is nothing to read.
bool producer_quiet(producer* p);
void producer_send(producer* p, const void* message, size_t size);

void producer_hello(producer* p, uint64_t capabilities);
void producer_state(producer* p, uint32_t state);
void producer_surface(producer* p, uint32_t id, IOSurfaceRef surface, uint32_t flags);
void producer_gone(producer* p, uint32_t id);
void producer_frame(producer* p, uint64_t sequence, uint32_t surface, struct sb_rect crop);
void producer_reset(producer* p, uint32_t reason);
void producer_end(producer* p, uint32_t code, const char* text);
void producer_cursor(producer* p);

#endif
