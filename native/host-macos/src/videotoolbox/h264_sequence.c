// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "videotoolbox/bits.h"
#include "videotoolbox/parameter_sets.h"

/// Where the promise is, or has to go.
typedef struct {
  /// Position of vui_parameters_present_flag, and whether it is set.
  size_t vui_at;
  bool vui;
  /// Position of bitstream_restriction_flag, and whether it is set.
  size_t restriction_at;
  bool restriction;
  uint32_t reorder;
  uint32_t references;
} promise;

static void skip_scaling_list(sbm_bit_reader* r, unsigned size) {
  int32_t next = 8;
  for (unsigned i = 0, last = 8; i < size && next != 0 && !r->failed; i++) {
    next = (int32_t)((last + (uint32_t)sbm_bits_se(r)) & 0xff);
    if (next != 0) last = (unsigned)next;
  }
}

static bool has_chroma_format(uint32_t profile) {
  static const uint8_t profiles[] = {100, 110, 122, 244, 44, 83, 86, 118, 128};
  return memchr(profiles, (int)profile, sizeof profiles) != NULL;
}

static void skip_hrd(sbm_bit_reader* r) {
  const uint32_t count = sbm_bits_ue(r);
  sbm_bits_skip(r, 8);
  for (uint32_t i = 0; i <= count && i < 32 && !r->failed; i++) {
    (void)sbm_bits_ue(r);
    (void)sbm_bits_ue(r);
    sbm_bits_skip(r, 1);
  }
  sbm_bits_skip(r, 20);
}

static void read_vui(sbm_bit_reader* r, promise* p) {
  if (sbm_bits_read(r, 1) && sbm_bits_read(r, 8) == 255) sbm_bits_skip(r, 32);
  if (sbm_bits_read(r, 1)) sbm_bits_skip(r, 1);
  if (sbm_bits_read(r, 1)) {
    sbm_bits_skip(r, 4);
    if (sbm_bits_read(r, 1)) sbm_bits_skip(r, 24);
  }
  if (sbm_bits_read(r, 1)) {
    (void)sbm_bits_ue(r);
    (void)sbm_bits_ue(r);
  }
  if (sbm_bits_read(r, 1)) sbm_bits_skip(r, 65);
  const bool nal_hrd = sbm_bits_read(r, 1);
  if (nal_hrd) skip_hrd(r);
  const bool vcl_hrd = sbm_bits_read(r, 1);
  if (vcl_hrd) skip_hrd(r);
  if (nal_hrd || vcl_hrd) sbm_bits_skip(r, 1);
  sbm_bits_skip(r, 1);
  p->restriction_at = r->at;
  p->restriction = sbm_bits_read(r, 1);
  if (!p->restriction) return;
  sbm_bits_skip(r, 1);
  for (int i = 0; i < 4; i++) (void)sbm_bits_ue(r);
  p->reorder = sbm_bits_ue(r);
  (void)sbm_bits_ue(r);
}

static bool read_sequence(sbm_bit_reader* r, promise* p, sbm_sequence* sequence) {
  if ((sbm_bits_read(r, 8) & 0x1f) != 7) return false;
  const uint32_t profile = sbm_bits_read(r, 8);
  const uint32_t constraints = sbm_bits_read(r, 8);
  const uint32_t level = sbm_bits_read(r, 8);
  (void)snprintf(sequence->codec, sizeof sequence->codec, "avc1.%02x%02x%02x", profile, constraints,
                 level);
  (void)sbm_bits_ue(r);
  uint32_t chroma = 1;
  if (has_chroma_format(profile)) {
    chroma = sbm_bits_ue(r);
    if (chroma > 3) return false;
    if (chroma == 3) sbm_bits_skip(r, 1);
    (void)sbm_bits_ue(r);
    (void)sbm_bits_ue(r);
    sbm_bits_skip(r, 1);
    if (sbm_bits_read(r, 1)) {
      for (int i = 0; i < (chroma == 3 ? 12 : 8); i++)
        if (sbm_bits_read(r, 1)) skip_scaling_list(r, i < 6 ? 16 : 64);
    }
  }
  (void)sbm_bits_ue(r);
  const uint32_t order = sbm_bits_ue(r);
  if (order == 0) {
    (void)sbm_bits_ue(r);
  } else if (order == 1) {
    sbm_bits_skip(r, 1);
    (void)sbm_bits_se(r);
    (void)sbm_bits_se(r);
    const uint32_t count = sbm_bits_ue(r);
    if (count > 255) return false;
    for (uint32_t i = 0; i < count; i++) (void)sbm_bits_se(r);
  } else if (order > 2) {
    return false;
  }
  p->references = sbm_bits_ue(r);
  sbm_bits_skip(r, 1);
  const uint32_t columns = sbm_bits_ue(r);
  const uint32_t rows = sbm_bits_ue(r);
  const uint32_t frames_only = sbm_bits_read(r, 1);
  if (!frames_only) sbm_bits_skip(r, 1);
  sbm_bits_skip(r, 1);
  uint32_t crop[4] = {0};
  if (sbm_bits_read(r, 1))
    for (int i = 0; i < 4; i++) crop[i] = sbm_bits_ue(r);
  if (r->failed || columns >= 1024 || rows >= 1024 || p->references > 16) return false;
  for (int i = 0; i < 4; i++)
    if (crop[i] > 8192) return false;
  const uint32_t unit_x = chroma == 1 || chroma == 2 ? 2 : 1;
  const uint32_t unit_y = (chroma == 1 ? 2 : 1) * (2 - frames_only);
  const uint32_t width = (columns + 1) * 16, height = (rows + 1) * 16 * (2 - frames_only);
  if ((crop[0] + crop[1]) * unit_x >= width || (crop[2] + crop[3]) * unit_y >= height) return false;
  sequence->width = width - (crop[0] + crop[1]) * unit_x;
  sequence->height = height - (crop[2] + crop[3]) * unit_y;
  p->vui_at = r->at;
  p->vui = sbm_bits_read(r, 1);
  if (p->vui) read_vui(r, p);
  return !r->failed;
}

size_t sbm_h264_sequence(const uint8_t* nal, size_t size, uint8_t* to, sbm_sequence* sequence) {
  sbm_bit_reader r;
  promise p = {0};
  if (!sbm_bits_open(&r, nal, size) || !read_sequence(&r, &p, sequence)) return 0;
  if (p.restriction) {
    if (p.reorder != 0) return 0;
    memcpy(to, nal, size);
    return size;
  }
  sbm_bit_writer w = {.size = 0};
  const size_t kept = p.vui ? p.restriction_at : p.vui_at;
  r.at = 0;
  for (size_t i = 0; i < kept; i++) sbm_bits_write(&w, 1, sbm_bits_read(&r, 1));
  if (!p.vui) {
    // A VUI that says nothing else: its presence, and the eight flags before the restriction.
    sbm_bits_write(&w, 1, 1);
    sbm_bits_write(&w, 8, 0);
  }
  sbm_bits_write(&w, 2, 3);
  sbm_bits_write_ue(&w, 0);
  sbm_bits_write_ue(&w, 0);
  sbm_bits_write_ue(&w, 15);
  sbm_bits_write_ue(&w, 15);
  sbm_bits_write_ue(&w, 0);
  sbm_bits_write_ue(&w, p.references == 0 ? 1 : p.references);
  return sbm_bits_close(&w, to, size + SBM_SEQUENCE_GROWTH);
}
