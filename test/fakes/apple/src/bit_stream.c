// SPDX-License-Identifier: Apache-2.0
#include "bit_stream.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  fake_bytes out;
  uint32_t cache;
  unsigned bits;
  unsigned zeros;
} writer;

static void raw(fake_bytes* out, uint8_t byte) {
  if (out->size == out->room) {
    out->room = out->room == 0 ? 256 : out->room * 2;
    out->bytes = realloc(out->bytes, out->room);
    if (out->bytes == NULL) abort();
  }
  out->bytes[out->size++] = byte;
}

/// With emulation prevention.
static void byte(writer* w, uint8_t value) {
  if (w->zeros == 2 && value <= 3) {
    raw(&w->out, 3);
    w->zeros = 0;
  }
  raw(&w->out, value);
  w->zeros = value == 0 ? w->zeros + 1 : 0;
}

static void put(writer* w, unsigned count, uint32_t value) {
  while (count-- > 0) {
    w->cache = w->cache << 1 | (value >> count & 1);
    if (++w->bits == 8) {
      byte(w, (uint8_t)w->cache);
      w->bits = w->cache = 0;
    }
  }
}

static void ue(writer* w, uint32_t value) {
  unsigned length = 0;
  while ((value + 1) >> (length + 1) != 0) length++;
  put(w, length, 0);
  put(w, length + 1, value + 1);
}

static void align_zero(writer* w) {
  while (w->bits != 0) put(w, 1, 0);
}

static void trailing(writer* w) {
  put(w, 1, 1);
  align_zero(w);
}

static void keep(fake_parameters* to, writer* w) {
  if (w->out.size > sizeof to->sets[0].bytes) abort();
  to->sets[to->count].size = w->out.size;
  memcpy(to->sets[to->count++].bytes, w->out.bytes, w->out.size);
  free(w->out.bytes);
}

void fake_h264_parameters(fake_parameters* to, uint32_t width, uint32_t height, bool vui,
                          unsigned reorder) {
  const uint32_t columns = (width + 15) / 16, rows = (height + 15) / 16;
  writer sps = {0};
  put(&sps, 8, 0x67);
  put(&sps, 24, 0x42c028);
  ue(&sps, 0);
  ue(&sps, 0);
  ue(&sps, 2);
  ue(&sps, 1);
  put(&sps, 1, 0);
  ue(&sps, columns - 1);
  ue(&sps, rows - 1);
  put(&sps, 2, 3);
  put(&sps, 1, 1);
  ue(&sps, 0);
  ue(&sps, (columns * 16 - width) / 2);
  ue(&sps, 0);
  ue(&sps, (rows * 16 - height) / 2);
  put(&sps, 1, vui);
  if (vui) {
    put(&sps, 2, 0);  // aspect ratio, overscan
    put(&sps, 1, 1);  // video signal: unspecified, limited, described as BT.709
    put(&sps, 5, 0x15);
    put(&sps, 24, 0x010101);
    put(&sps, 1, 0);  // chroma location
    put(&sps, 1, 1);  // timing: 60 Hz
    put(&sps, 32, 1);
    put(&sps, 32, 120);
    put(&sps, 1, 0);
    put(&sps, 3, 0);  // hypothetical decoders, picture structure
    put(&sps, 1, 1);  // restriction
    put(&sps, 1, 1);
    for (int i = 0; i < 4; i++) ue(&sps, i < 2 ? 0 : 15);
    ue(&sps, reorder);
    ue(&sps, 1 + reorder);
  }
  trailing(&sps);
  keep(to, &sps);
  writer pps = {0};
  put(&pps, 8, 0x68);
  ue(&pps, 0);
  ue(&pps, 0);
  put(&pps, 2, 0);
  for (int i = 0; i < 3; i++) ue(&pps, 0);
  put(&pps, 3, 0);
  for (int i = 0; i < 3; i++) ue(&pps, 0);
  put(&pps, 3, 4);  // deblocking is controlled in slices
  trailing(&pps);
  keep(to, &pps);
}

static void profile_tier_level(writer* w) {
  put(w, 8, 1);            // Main
  put(w, 32, 0x60000000);  // compatible with Main and Main 10
  put(w, 4, 9);            // progressive, frames only
  put(w, 32, 0);
  put(w, 12, 0);
  put(w, 8, 93);
}

void fake_hevc_parameters(fake_parameters* to, uint32_t width, uint32_t height, unsigned reorder) {
  writer vps = {0};
  put(&vps, 16, 0x4001);
  put(&vps, 16, 0x0c01);
  put(&vps, 16, 0xffff);
  profile_tier_level(&vps);
  trailing(&vps);
  keep(to, &vps);
  writer sps = {0};
  put(&sps, 16, 0x4201);
  put(&sps, 8, 0x01);
  profile_tier_level(&sps);
  ue(&sps, 0);
  ue(&sps, 1);
  ue(&sps, (width + 7) / 8 * 8);
  ue(&sps, (height + 7) / 8 * 8);
  put(&sps, 1, 1);
  ue(&sps, 0);
  ue(&sps, ((width + 7) / 8 * 8 - width) / 2);
  ue(&sps, 0);
  ue(&sps, ((height + 7) / 8 * 8 - height) / 2);
  ue(&sps, 0);
  ue(&sps, 0);
  ue(&sps, 4);
  put(&sps, 1, 1);
  ue(&sps, 1);
  ue(&sps, reorder);
  ue(&sps, 0);
  trailing(&sps);
  keep(to, &sps);
  writer pps = {0};
  put(&pps, 16, 0x4401);
  put(&pps, 16, 0xc0f1);
  trailing(&pps);
  keep(to, &pps);
}

/// BT.709, limited range, in 1/1024.
static uint8_t luma(const uint8_t* p) {
  return (uint8_t)(16 + (p[0] * 63 + p[1] * 629 + p[2] * 187 + 512) / 1024);
}
static uint8_t blue(const uint8_t* p) {
  return (uint8_t)(128 + (p[0] * 450 - p[1] * 347 - p[2] * 103) / 1024);
}
static uint8_t red(const uint8_t* p) {
  return (uint8_t)(128 + (p[2] * 450 - p[1] * 409 - p[0] * 41) / 1024);
}

static const uint8_t* at(const fake_picture* p, uint32_t x, uint32_t y) {
  if (x >= p->width) x = p->width - 1;
  if (y >= p->height) y = p->height - 1;
  return p->pixels + y * p->stride + (size_t)x * 4;
}

fake_bytes fake_h264_slice(const fake_picture* picture, unsigned number, unsigned idr) {
  const bool key = number == 0;
  writer w = {0};
  put(&w, 8, key ? 0x65 : 0x41);
  ue(&w, 0);
  ue(&w, key ? 7 : 5);
  ue(&w, 0);
  put(&w, 4, number & 15);
  if (key) {
    ue(&w, idr & 1);
    put(&w, 2, 0);
  } else {
    put(&w, 3, 0);
  }
  ue(&w, 0);  // quantiser as in the parameter set
  ue(&w, 1);  // no deblocking
  for (uint32_t y = 0; y < picture->height; y += 16) {
    for (uint32_t x = 0; x < picture->width; x += 16) {
      if (!key) ue(&w, 0);
      ue(&w, key ? 25 : 30);
      align_zero(&w);
      for (uint32_t i = 0; i < 256; i++) byte(&w, luma(at(picture, x + i % 16, y + i / 16)));
      for (uint32_t i = 0; i < 64; i++) byte(&w, blue(at(picture, x + i % 8 * 2, y + i / 8 * 2)));
      for (uint32_t i = 0; i < 64; i++) byte(&w, red(at(picture, x + i % 8 * 2, y + i / 8 * 2)));
    }
  }
  trailing(&w);
  return w.out;
}
