// SPDX-License-Identifier: Apache-2.0
// Client side of the surface protocol for one stream of IOSurfaces.
//
// IOSurfaces travel by number, so this client takes no file descriptors, and offers no kind of
// surface that has some: recvmsg() is not used, and the kernel closes what a producer sends. The
// producer is not trusted; beyond sb_check_message() the client checks what needs memory of the
// past: that an answer fits the request, that a frame names a surface that is there, lies within
// it, has a growing sequence, and does not come before the last one was released. Not thread-safe,
// never blocks: the owner polls the descriptor and dispatches.
#ifndef SCANBRIDGE_MACOS_SURFACE_CLIENT_H_
#define SCANBRIDGE_MACOS_SURFACE_CLIENT_H_

#include <scanbridge/surface.h>
#include <stdbool.h>

#include "surface/picture.h"

typedef struct {
  /// At most 103 bytes.
  const char* socket;
  /// SB_MSG_SUBSCRIBE_SCANOUT, _RESOURCE or _CAPTURE.
  enum sb_msg_type subscribe;
  /// Scanout or capture; a resource's fields without header and flags.
  uint32_t number;
  struct sb_subscribe_resource resource;
  bool cursor;
} sbm_target;

/// A picture that waits to be taken.
typedef struct {
  /// Belongs to the client; hold it before the frame is released.
  sbm_picture* picture;
  struct sb_rect crop;
  uint64_t sequence;
  /// When it was made, and when its message was received [ns].
  uint64_t pts, arrival;
  /// Pictures that it replaced.
  uint64_t replaced;
} sbm_frame;

/// Called during dispatch. Must not close the client.
typedef struct {
  void* context;
  void (*state)(void* context, enum sb_stream_state state);
  void (*reset)(void* context, enum sb_reset_reason reason);
  /// `pixels` of pixel_bytes; live until the call returns.
  void (*cursor)(void* context, const struct sb_cursor* cursor, const uint8_t* pixels);
} sbm_client_observer;

typedef struct sbm_client sbm_client;

/// Connects and sends the hello. NULL and `error` otherwise.
sbm_client* sbm_client_open(const sbm_target* target, const sbm_client_observer* observer,
                            sbm_error* error);
/// Frees all surfaces and pending frames. NULL is allowed.
void sbm_client_close(sbm_client* client);
/// For poll: POLLIN always, POLLOUT while it wants to write.
int sbm_client_fd(const sbm_client* client);
bool sbm_client_wants_write(const sbm_client* client);
/// Whole messages may be waiting that poll does not see.
bool sbm_client_has_buffered(const sbm_client* client);

/// Handles what has arrived. False: the stream is over; `error` has a code unless it ended in
/// order.
bool sbm_client_dispatch(sbm_client* client, sbm_error* error);
/// The frame that is not released; NULL when there is none.
const sbm_frame* sbm_client_pending(const sbm_client* client);
/// Releases it.
void sbm_client_release(sbm_client* client);

#endif
