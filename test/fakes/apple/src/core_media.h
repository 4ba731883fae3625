// SPDX-License-Identifier: Apache-2.0
// Makes what the fake encoder gives out.
#ifndef SCANBRIDGE_FAKES_CORE_MEDIA_H_
#define SCANBRIDGE_FAKES_CORE_MEDIA_H_

#include <CoreMedia/CoreMedia.h>

#include "object.h"

typedef struct {
  /// Size of the lengths in front of NAL units [bytes].
  int header;
  size_t count;
  struct {
    size_t size;
    uint8_t bytes[128];
  } sets[3];
} fake_parameters;

/// A sample of `size` bytes, in pieces of `split`. The caller releases it.
CMSampleBufferRef fake_sample(CMVideoCodecType codec, const fake_parameters* parameters,
                              const uint8_t* bytes, size_t size, size_t split, bool key);

#endif
