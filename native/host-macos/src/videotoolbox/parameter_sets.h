// SPDX-License-Identifier: Apache-2.0
// What sequence parameter sets say, and that they say that pictures keep their order.
//
// A decoder that is not told holds pictures back. VideoToolbox does not write it into the
// parameter sets of H.264 on every system, so it is added there; HEVC always says it.
#ifndef SCANBRIDGE_MACOS_VIDEOTOOLBOX_PARAMETER_SETS_H_
#define SCANBRIDGE_MACOS_VIDEOTOOLBOX_PARAMETER_SETS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  /// RFC 6381: "avc1.640028", "hvc1.1.6.L93.90".
  char codec[48];
  /// After cropping [pixels].
  uint32_t width, height;
} sbm_sequence;

/// Largest growth of a set by what is added [bytes].
enum { SBM_SEQUENCE_GROWTH = 32 };

/// Reads a sequence parameter set of H.264 (7.3.2.1 and annex E) and puts one that promises
/// max_num_reorder_frames = 0 to `to`, which has room for `size` + SBM_SEQUENCE_GROWTH bytes.
/// Returns its size; 0 when the set is damaged or allows reordering.
size_t sbm_h264_sequence(const uint8_t* nal, size_t size, uint8_t* to, sbm_sequence* sequence);

/// Reads a sequence parameter set of HEVC (7.3.2.2). False when it is damaged or allows reordering.
bool sbm_hevc_sequence(const uint8_t* nal, size_t size, sbm_sequence* sequence);

#endif
