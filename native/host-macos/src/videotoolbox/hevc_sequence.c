// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "videotoolbox/bits.h"
#include "videotoolbox/parameter_sets.h"

/// profile_tier_level() of 7.3.3; writes the codec string of ISO/IEC 14496-15, annex E.
static void read_profile(sbm_bit_reader* r, unsigned layers, sbm_sequence* sequence) {
  static const char* const spaces[] = {"", "A", "B", "C"};
  const char* const space = spaces[sbm_bits_read(r, 2)];
  const char tier = sbm_bits_read(r, 1) ? 'H' : 'L';
  const uint32_t profile = sbm_bits_read(r, 5);
  const uint32_t flags = sbm_bits_read(r, 32);
  uint32_t compatible = 0;
  for (int i = 0; i < 32; i++) compatible |= (flags >> i & 1u) << (31 - i);
  uint32_t constraints[6];
  int used = 0;
  for (int i = 0; i < 6; i++) {
    constraints[i] = sbm_bits_read(r, 8);
    if (constraints[i] != 0) used = i + 1;
  }
  const uint32_t level = sbm_bits_read(r, 8);
  int at = snprintf(sequence->codec, sizeof sequence->codec, "hvc1.%s%u.%X.%c%u", space, profile,
                    compatible, tier, level);
  for (int i = 0; i < used; i++)
    at +=
        snprintf(sequence->codec + at, sizeof sequence->codec - (size_t)at, ".%X", constraints[i]);
  bool has_profile[8] = {false}, has_level[8] = {false};
  for (unsigned i = 0; i < layers; i++) {
    has_profile[i] = sbm_bits_read(r, 1);
    has_level[i] = sbm_bits_read(r, 1);
  }
  if (layers > 0) sbm_bits_skip(r, (size_t)(8 - layers) * 2);
  for (unsigned i = 0; i < layers; i++)
    sbm_bits_skip(r, (has_profile[i] ? 88u : 0u) + (has_level[i] ? 8u : 0u));
}

bool sbm_hevc_sequence(const uint8_t* nal, size_t size, sbm_sequence* sequence) {
  sbm_bit_reader r;
  if (!sbm_bits_open(&r, nal, size)) return false;
  if ((sbm_bits_read(&r, 16) >> 9 & 0x3f) != 33) return false;
  sbm_bits_skip(&r, 4);
  const unsigned layers = sbm_bits_read(&r, 3);
  sbm_bits_skip(&r, 1);
  if (layers > 6) return false;
  read_profile(&r, layers, sequence);
  (void)sbm_bits_ue(&r);
  const uint32_t chroma = sbm_bits_ue(&r);
  if (chroma == 3) sbm_bits_skip(&r, 1);
  const uint32_t width = sbm_bits_ue(&r), height = sbm_bits_ue(&r);
  uint32_t crop[4] = {0};
  if (sbm_bits_read(&r, 1))
    for (int i = 0; i < 4; i++) crop[i] = sbm_bits_ue(&r);
  (void)sbm_bits_ue(&r);
  (void)sbm_bits_ue(&r);
  (void)sbm_bits_ue(&r);
  const bool all = sbm_bits_read(&r, 1);
  uint32_t reorder = 0;
  for (unsigned i = all ? 0 : layers; i <= layers; i++) {
    (void)sbm_bits_ue(&r);
    reorder = sbm_bits_ue(&r);
    (void)sbm_bits_ue(&r);
  }
  if (r.failed || chroma > 3 || width > 16384 || height > 16384) return false;
  for (int i = 0; i < 4; i++)
    if (crop[i] > 8192) return false;
  const uint32_t unit_x = chroma == 1 || chroma == 2 ? 2 : 1, unit_y = chroma == 1 ? 2 : 1;
  if ((crop[0] + crop[1]) * unit_x >= width || (crop[2] + crop[3]) * unit_y >= height) return false;
  sequence->width = width - (crop[0] + crop[1]) * unit_x;
  sequence->height = height - (crop[2] + crop[3]) * unit_y;
  return reorder == 0;
}
