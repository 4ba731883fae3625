// SPDX-License-Identifier: Apache-2.0
// One compression session of VideoToolbox.
//
// Ownership: the session's creator owns it and destroys it. VideoToolbox gets no pointer to it but
// a number, which its call-backs look up: one that comes late, twice, or never finds the session or
// nothing. One frame is in the session at a time; the session holds its picture until the frame
// comes out or the session is destroyed.
//
// The session may block its caller (VideoToolbox may wait for its service), so that only an encode
// thread (encoder.h) calls it.
#ifndef SCANBRIDGE_MACOS_VIDEOTOOLBOX_SESSION_H_
#define SCANBRIDGE_MACOS_VIDEOTOOLBOX_SESSION_H_

#include <CoreMedia/CoreMedia.h>

#include "surface/picture.h"
#include "videotoolbox/access_unit.h"

typedef struct {
  uint32_t width, height;
  CMVideoCodecType codec;
  uint32_t bitrate_kbps;
  /// Upper bound; pictures come when something changes.
  uint32_t max_fps;
  /// Bytes in front of each access unit for the receiver.
  size_t headroom;
} sbm_session_settings;

/// Called on a thread of VideoToolbox, never after sbm_session_destroy() has returned.
typedef struct {
  void* context;
  /// An access unit; its memory is the receiver's.
  void (*unit)(void* context, uint64_t frame, const sbm_unit* unit);
  /// The rate control left the frame out; nothing refers to it.
  void (*dropped)(void* context, uint64_t frame);
  /// `again`: a new session may do better.
  void (*failed)(void* context, uint64_t frame, const sbm_error* error, bool again);
} sbm_session_observer;

typedef struct sbm_session sbm_session;

/// NULL and `error`; `again` tells whether another attempt may succeed.
sbm_session* sbm_session_create(const sbm_session_settings* settings,
                                const sbm_session_observer* observer, sbm_error* error,
                                bool* again);
/// Waits for a call-back that is under way. NULL is allowed.
void sbm_session_destroy(sbm_session* session);

/// Encodes a picture; the caller keeps its own hold. Times grow [ns]. False and `error` when it was
/// not taken: no call-back comes then.
bool sbm_session_encode(sbm_session* session, sbm_picture* picture, uint64_t frame, uint64_t time,
                        bool key, sbm_error* error, bool* again);
void sbm_session_set_bitrate(sbm_session* session, uint32_t kbps);
/// "hardware, low latency" and the like.
const char* sbm_session_description(const sbm_session* session);

#endif
