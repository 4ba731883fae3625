// SPDX-License-Identifier: Apache-2.0
// One encoded stream: takes pictures from a source, encodes them, hands out messages.
//
// One thread polls the source; the encoder has another; access units come on a thread of
// VideoToolbox. Queues: one picture waits at the source (newer ones replace it there), one is in
// the encoder, and the sink says when it wants no more. So a picture is dropped before it is
// encoded, never after. The engine holds the picture that it encoded last, so that it can be
// encoded again for a viewer who comes while the desktop stands still; the producer draws into
// other surfaces meanwhile.
#ifndef SCANBRIDGE_MACOS_ENGINE_ENGINE_H_
#define SCANBRIDGE_MACOS_ENGINE_ENGINE_H_

#include <CoreMedia/CoreMedia.h>

#include "core/percentiles.h"
#include "surface/client.h"
#include "videotoolbox/parameter_sets.h"

/// See EngineOptions in lib/engine.ts.
typedef struct {
  /// NULL: the test pattern.
  const sbm_target* target;
  uint32_t pattern_width, pattern_height, pattern_fps;
  CMVideoCodecType codec;
  uint32_t bitrate_kbps, max_fps;
  /// 0: never.
  uint32_t keepalive_ms;
} sbm_engine_options;

typedef enum { SBM_STARTING, SBM_LIVE, SBM_BLANK, SBM_WAITING } sbm_state;

/// See VideoConfig in lib/engine.ts.
typedef struct {
  uint16_t id;
  sbm_sequence sequence;
  /// Of what is shown [pixels].
  uint32_t width, height;
} sbm_config;

/// Takes events; called on several threads, in order for each of them. Must not block.
typedef struct {
  void* context;
  /// A message of the viewer protocol, of malloc: the sink's.
  void (*video)(void* context, uint8_t* message, size_t size);
  void (*config)(void* context, const sbm_config* config);
  /// `reset` is 0, or why all surfaces went away.
  void (*state)(void* context, sbm_state state, uint32_t reset);
  void (*cursor)(void* context, const struct sb_cursor* cursor, const uint8_t* pixels);
  void (*chosen)(void* context, const char* path);
  /// The last one; an error without a code: the stream ended in order.
  void (*end)(void* context, const sbm_error* error);
  /// False while the owner has not taken the access units that it has: then nothing is encoded.
  bool (*wants_video)(void* context);
  /// True while the owner has not taken what it has: then the source is not read.
  bool (*full)(void* context);
} sbm_sink;

/// See EngineStats in lib/engine.ts.
typedef struct {
  uint64_t frames_in, encoded, key_frames, keepalives, dropped_before_encode, dropped_by_encoder;
  uint64_t bytes, copied;
  uint32_t bitrate_kbps, rebuilds;
  sbm_percentile_set convert, encode, latency;
} sbm_engine_stats;

typedef struct sbm_engine sbm_engine;

/// Starts at once. The sink outlives the engine; its last event is `end`, unless the engine is
/// destroyed first. NULL: out of memory, threads or descriptors.
sbm_engine* sbm_engine_create(const sbm_engine_options* options, const sbm_sink* sink);
/// Stops; waits for a picture that is being encoded. NULL is allowed.
void sbm_engine_destroy(sbm_engine* engine);
/// Of any thread.
void sbm_engine_request_key_frame(sbm_engine* engine);
void sbm_engine_set_bitrate(sbm_engine* engine, uint32_t kbps);
void sbm_engine_get_stats(sbm_engine* engine, sbm_engine_stats* stats);
/// The sink wants video, or any events, again.
void sbm_engine_wake(sbm_engine* engine);

#endif
