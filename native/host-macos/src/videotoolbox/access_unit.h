// SPDX-License-Identifier: Apache-2.0
// Turns a sample of VideoToolbox into an access unit with start codes (Annex B).
//
// A sample has lengths in front of its NAL units, lies in a block buffer that may consist of
// pieces, and has its parameter sets elsewhere, in its format description. Nothing of it is
// believed: lengths are checked against the block before they are used.
#ifndef SCANBRIDGE_MACOS_VIDEOTOOLBOX_ACCESS_UNIT_H_
#define SCANBRIDGE_MACOS_VIDEOTOOLBOX_ACCESS_UNIT_H_

#include <CoreMedia/CoreMedia.h>
#include <stdbool.h>

#include "core/error.h"
#include "videotoolbox/parameter_sets.h"

typedef struct {
  /// Of malloc; `headroom` bytes that belong to the caller, then the access unit.
  uint8_t* memory;
  size_t headroom;
  /// Of the access unit alone [bytes].
  size_t size;
  bool key;
  /// Set when `key`: what the sequence parameter set says.
  sbm_sequence sequence;
} sbm_unit;

/// Fills `unit`, whose memory the caller frees. False and `error` otherwise. Does not keep the
/// sample.
bool sbm_unit_of_sample(CMSampleBufferRef sample, CMVideoCodecType codec, size_t headroom,
                        sbm_unit* unit, sbm_error* error);

#endif
