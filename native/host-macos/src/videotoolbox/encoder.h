// SPDX-License-Identifier: Apache-2.0
// Encodes pictures of one size, one at a time, on a thread of its own.
//
// VideoToolbox may block; so nothing but this thread calls it. The queue in front of the thread is
// one picture deep, and counts until its access unit is out: who has another picture meanwhile
// waits, and by then has a newer one. When the encoder service dies, the session is built anew and
// the picture is encoded again, as a key frame.
#ifndef SCANBRIDGE_MACOS_VIDEOTOOLBOX_ENCODER_H_
#define SCANBRIDGE_MACOS_VIDEOTOOLBOX_ENCODER_H_

#include "videotoolbox/session.h"

/// Attempts for one picture before the encoder gives up, and pauses before them [ms].
enum { SBM_ENCODER_ATTEMPTS = 4 };

/// Called on a thread of VideoToolbox or of the encoder; must not block, nor destroy the encoder.
typedef struct {
  void* context;
  /// An access unit; its memory is the receiver's. `asked`: this was to be a key frame.
  void (*unit)(void* context, uint64_t frame, const sbm_unit* unit, bool asked);
  void (*dropped)(void* context, uint64_t frame, bool asked);
  /// Nothing comes after it.
  void (*failed)(void* context, const sbm_error* error);
} sbm_encoder_observer;

typedef struct sbm_encoder sbm_encoder;

/// NULL: out of memory or threads. The session is made by the thread, with the first picture.
sbm_encoder* sbm_encoder_create(const sbm_session_settings* settings,
                                const sbm_encoder_observer* observer);
/// Waits for the encode thread, which VideoToolbox may hold up. NULL is allowed.
void sbm_encoder_destroy(sbm_encoder* encoder);

/// Takes a hold on the picture until it is encoded. False, and nothing taken, while another picture
/// is under way, or after a failure.
bool sbm_encoder_submit(sbm_encoder* encoder, sbm_picture* picture, uint64_t frame, uint64_t time,
                        bool key);
bool sbm_encoder_busy(sbm_encoder* encoder);
/// Changes the target without a key frame. Any thread.
void sbm_encoder_set_bitrate(sbm_encoder* encoder, uint32_t kbps);
/// Sessions that were made anew after a failure.
unsigned sbm_encoder_rebuilds(sbm_encoder* encoder);
/// Copies what the session says of itself; empty before there is one.
void sbm_encoder_description(sbm_encoder* encoder, char* text, size_t size);

#endif
