/*
 * A head of a DRM device, and the two buffers that it shows in turn. Functions that return an int
 * return 0, or -1 and tell by errno why.
 */
#ifndef SCANBRIDGE_TEST_VM_HEAD_H
#define SCANBRIDGE_TEST_VM_HEAD_H

#include "drm-buffer.h"

struct head {
  uint8_t number; /* of the scanout */
  uint32_t connector, crtc;
  bool shown, flip_pending, running, answer_flip;
  uint32_t width, height; /* of the mode */
  uint32_t left, top;     /* of the picture in the buffers */
  const struct format* format;
  struct buffer buffers[2];
  uint32_t cursor_handle;
  uint32_t sequence;
  /* What `run` did, in nanoseconds. */
  uint64_t period, next, started, last, worst_gap, flips;
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t now(void);

bool has_room_for_mark(uint32_t width, uint32_t height);

/* Whether a display is connected, and the first of its modes, which is the preferred one; 0 if
 * none. */
bool preferred_size(const struct head* h, uint32_t* width, uint32_t* height);

/* `surface_width` 0: the buffers are as large as the picture. On failure the head is off. */
int show(struct head* h, uint32_t width, uint32_t height, const struct format* format,
         uint32_t surface_width, uint32_t surface_height, uint32_t left, uint32_t top);

/* Paints the next sequence number and starts a page flip to it; its event carries the head's
 * number. */
int flip(struct head* h);

void switch_off(struct head* h);

int set_cursor(struct head* h, int x, int y, int hot_x, int hot_y);

int hide_cursor(struct head* h);

#endif
