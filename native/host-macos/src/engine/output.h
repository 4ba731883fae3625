// SPDX-License-Identifier: Apache-2.0
// Turns access units into messages of the viewer protocol.
#ifndef SCANBRIDGE_MACOS_ENGINE_OUTPUT_H_
#define SCANBRIDGE_MACOS_ENGINE_OUTPUT_H_

#include <pthread.h>
#include <scanbridge/viewer_video.h>

#include "engine/engine.h"
#include "videotoolbox/access_unit.h"

/// What is known of a picture when it goes into the encoder [ns].
typedef struct {
  uint64_t frame;
  uint64_t pts, arrival, submitted;
  bool keepalive;
  /// The picture was copied before, as the encoder cannot take it as it is.
  bool copied;
  /// Of what is shown, and what the encoder was told [pixels].
  uint32_t width, height, coded_width, coded_height;
} sbm_facts;

/// Between the engine's thread, which says what goes in, and VideoToolbox's, which brings what
/// comes out. One picture is under way at a time. All functions may be called on any thread.
typedef struct {
  const sbm_sink* sink;
  pthread_mutex_t lock;
  bool in_flight;
  sbm_facts facts;
  bool started;
  sbm_config config;
  uint32_t sequence;
  sbm_engine_stats stats;
  sbm_percentiles convert, encode, latency;
} sbm_output;

void sbm_output_open(sbm_output* output, const sbm_sink* sink);
void sbm_output_close(sbm_output* output);
/// A picture goes in; `convert` is how long it took to make it ready [us].
void sbm_output_expect(sbm_output* output, const sbm_facts* facts, uint64_t convert);
/// The encoder left the picture out.
void sbm_output_drop(sbm_output* output);
/// When the picture under way went in [ns]; 0 when there is none.
uint64_t sbm_output_since(sbm_output* output);
/// Passes an access unit on, with a config before it where that changed, and takes its memory.
/// False and `error`: it must not reach a viewer. `first` is set for the first one of all, `facts`
/// to what was expected.
bool sbm_output_finish(sbm_output* output, uint64_t frame, const sbm_unit* unit, bool* first,
                       sbm_facts* facts, sbm_error* error);
void sbm_output_count(sbm_output* output, uint64_t frames_in, uint64_t dropped, bool copied);
void sbm_output_stats(sbm_output* output, sbm_engine_stats* stats);

#endif
