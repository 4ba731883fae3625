// SPDX-License-Identifier: Apache-2.0
#include "engine/output.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

/// Field of the header: microseconds, at most what fits.
static uint32_t microseconds(uint64_t from, uint64_t to) {
  if (to <= from) return 0;
  const uint64_t value = (to - from) / 1000;
  return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

void sbm_output_open(sbm_output* output, const sbm_sink* sink) {
  memset(output, 0, sizeof *output);
  output->sink = sink;
  (void)pthread_mutex_init(&output->lock, NULL);
}

void sbm_output_close(sbm_output* output) {
  (void)pthread_mutex_destroy(&output->lock);
}

void sbm_output_expect(sbm_output* output, const sbm_facts* facts, uint64_t convert) {
  (void)pthread_mutex_lock(&output->lock);
  output->facts = *facts;
  output->in_flight = true;
  if (!facts->keepalive) sbm_percentiles_add(&output->convert, convert);
  (void)pthread_mutex_unlock(&output->lock);
}

void sbm_output_drop(sbm_output* output) {
  (void)pthread_mutex_lock(&output->lock);
  output->in_flight = false;
  output->stats.dropped_by_encoder++;
  (void)pthread_mutex_unlock(&output->lock);
}

uint64_t sbm_output_since(sbm_output* output) {
  (void)pthread_mutex_lock(&output->lock);
  const uint64_t since = output->in_flight ? output->facts.submitted : 0;
  (void)pthread_mutex_unlock(&output->lock);
  return since;
}

/// What is wrong with an access unit, or NULL. Lock held.
static const char* check(const sbm_output* output, uint64_t frame, const sbm_unit* unit) {
  if (!output->in_flight || output->facts.frame != frame) return "it belongs to no picture";
  if (!unit->key && !output->started) return "the stream does not start with a key frame";
  if (unit->key && (unit->sequence.width != output->facts.coded_width ||
                    unit->sequence.height != output->facts.coded_height))
    return "it is of another size than the picture";
  return NULL;
}

static void update_config(sbm_output* output, const sbm_unit* unit) {
  sbm_config* const config = &output->config;
  const bool same = output->started && config->width == output->facts.width &&
                    config->height == output->facts.height &&
                    memcmp(&config->sequence, &unit->sequence, sizeof config->sequence) == 0;
  output->started = true;
  if (same) return;
  config->id = config->id == UINT16_MAX ? 1 : (uint16_t)(config->id + 1);
  config->sequence = unit->sequence;
  config->width = output->facts.width;
  config->height = output->facts.height;
  output->sink->config(output->sink->context, config);
}

bool sbm_output_finish(sbm_output* output, uint64_t frame, const sbm_unit* unit, bool* first,
                       sbm_facts* known, sbm_error* error) {
  (void)pthread_mutex_lock(&output->lock);
  const char* const wrong = check(output, frame, unit);
  if (wrong != NULL) {
    (void)pthread_mutex_unlock(&output->lock);
    free(unit->memory);
    sbm_error_set(error, "ENCODER_FAILED", "Use another codec, and report it.",
                  "An access unit cannot be shown: %s.", wrong);
    return false;
  }
  *first = !output->started;
  if (unit->key) update_config(output, unit);
  const sbm_facts* const facts = &output->facts;
  *known = *facts;
  const uint64_t now = sbm_now();
  const struct sbv_video_header header = {
      .message = SBV_VIDEO_MESSAGE,
      .flags = (uint8_t)((unit->key ? SBV_VIDEO_FLAG_KEY : 0) |
                         (facts->keepalive ? SBV_VIDEO_FLAG_KEEPALIVE : 0)),
      .config = output->config.id,
      .sequence = output->sequence++,
      .pts = facts->pts / 1000,
      .capture = microseconds(facts->pts, facts->arrival),
      .encode = microseconds(facts->arrival, now),
  };
  memcpy(unit->memory, &header, sizeof header);
  output->in_flight = false;
  output->stats.encoded++;
  output->stats.key_frames += unit->key;
  output->stats.keepalives += facts->keepalive;
  output->stats.bytes += unit->size;
  sbm_percentiles_add(&output->encode, (now - facts->submitted) / 1000);
  if (!facts->keepalive) sbm_percentiles_add(&output->latency, (now - facts->arrival) / 1000);
  // With the lock, so that a config and what it describes stay in order.
  output->sink->video(output->sink->context, unit->memory, unit->headroom + unit->size);
  (void)pthread_mutex_unlock(&output->lock);
  return true;
}

void sbm_output_count(sbm_output* output, uint64_t frames_in, uint64_t dropped, bool copied) {
  (void)pthread_mutex_lock(&output->lock);
  output->stats.frames_in += frames_in;
  output->stats.dropped_before_encode += dropped;
  output->stats.copied += copied;
  (void)pthread_mutex_unlock(&output->lock);
}

void sbm_output_stats(sbm_output* output, sbm_engine_stats* stats) {
  (void)pthread_mutex_lock(&output->lock);
  *stats = output->stats;
  stats->convert = sbm_percentiles_get(&output->convert);
  stats->encode = sbm_percentiles_get(&output->encode);
  stats->latency = sbm_percentiles_get(&output->latency);
  (void)pthread_mutex_unlock(&output->lock);
}
