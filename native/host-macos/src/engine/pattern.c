// SPDX-License-Identifier: Apache-2.0
#include "engine/pattern.h"

#include <stdlib.h>

#include "core/clock.h"

/// One is shown, one is in the encoder, one is painted.
enum { PICTURES = 3, BLOCK = 8, BITS = 32, BAR_WIDTH = 32, STEP = 4 };

struct sbm_pattern {
  uint32_t width, height;
  uint64_t interval, due;
  uint32_t number;
  sbm_picture* pictures[PICTURES];
  unsigned next;
};

sbm_pattern* sbm_pattern_open(uint32_t width, uint32_t height, uint32_t fps, sbm_error* error) {
  sbm_pattern* const pattern = calloc(1, sizeof *pattern);
  if (pattern == NULL) {
    sbm_error_set(error, "INTERNAL", "Close other programs.", "Memory ran out.");
    return NULL;
  }
  pattern->width = width;
  pattern->height = height;
  pattern->interval = 1000000000u / fps;
  pattern->due = sbm_now();
  for (size_t i = 0; i < PICTURES; i++) {
    pattern->pictures[i] = sbm_picture_create(width, height, error);
    if (pattern->pictures[i] == NULL) {
      sbm_pattern_close(pattern);
      return NULL;
    }
  }
  return pattern;
}

void sbm_pattern_close(sbm_pattern* pattern) {
  if (pattern == NULL) return;
  for (size_t i = 0; i < PICTURES; i++) sbm_picture_unref(pattern->pictures[i]);
  free(pattern);
}

uint64_t sbm_pattern_due(const sbm_pattern* pattern) {
  return pattern->due;
}

static uint32_t colour_of(const sbm_pattern* pattern, uint32_t x, uint32_t y, uint32_t bar) {
  // 75 % bars, as 0xRRGGBB.
  static const uint32_t bars[] = {0xbfbfbf, 0xbfbf00, 0x00bfbf, 0x00bf00,
                                  0xbf00bf, 0xbf0000, 0x0000bf};
  if (y < BLOCK && x < BITS * BLOCK)
    return (pattern->number >> (BITS - 1 - x / BLOCK) & 1) != 0 ? 0xffffff : 0;
  if (x - bar < BAR_WIDTH) return 0xffffff;
  if (y < pattern->height / 2)
    return bars[(uint64_t)x * (sizeof bars / sizeof *bars) / pattern->width];
  return (uint32_t)((uint64_t)x * 255 / pattern->width) * 0x010101;
}

static void paint(void* context, uint8_t* pixels, size_t stride) {
  const sbm_pattern* const pattern = context;
  const uint32_t bar = (uint32_t)((uint64_t)pattern->number * STEP % pattern->width);
  for (uint32_t y = 0; y < pattern->height; y++) {
    for (uint32_t x = 0; x < pattern->width; x++) {
      const uint32_t colour = colour_of(pattern, x, y, bar);
      uint8_t* const to = pixels + y * stride + (size_t)x * 4;
      to[0] = (uint8_t)colour;
      to[1] = (uint8_t)(colour >> 8);
      to[2] = (uint8_t)(colour >> 16);
      to[3] = 255;
    }
  }
}

sbm_picture* sbm_pattern_take(sbm_pattern* pattern, uint64_t now, uint64_t* replaced) {
  const uint64_t missed = now > pattern->due ? (now - pattern->due) / pattern->interval : 0;
  pattern->due += (missed + 1) * pattern->interval;
  pattern->number += (uint32_t)missed;
  *replaced = missed;
  for (unsigned i = 0; i < PICTURES; i++) {
    sbm_picture* const picture = pattern->pictures[pattern->next++ % PICTURES];
    if (sbm_picture_in_use(picture)) continue;
    const bool painted = sbm_picture_paint(picture, paint, pattern);
    pattern->number++;
    return painted ? picture : NULL;
  }
  return NULL;
}
