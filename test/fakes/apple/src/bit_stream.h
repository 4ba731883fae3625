// SPDX-License-Identifier: Apache-2.0
// A real, if wasteful, H.264 stream: every macroblock as it is (I_PCM), so that a decoder shows the
// very samples that went in. HEVC gets real parameter sets and slices that nobody decodes.
#ifndef SCANBRIDGE_FAKES_BIT_STREAM_H_
#define SCANBRIDGE_FAKES_BIT_STREAM_H_

#include "core_media.h"

typedef struct {
  uint8_t* bytes;
  size_t size;
  size_t room;
} fake_bytes;

/// Pixels are B, G, R, A.
typedef struct {
  const uint8_t* pixels;
  size_t stride;
  uint32_t width, height;
} fake_picture;

void fake_h264_parameters(fake_parameters* to, uint32_t width, uint32_t height, bool vui,
                          unsigned reorder);
void fake_hevc_parameters(fake_parameters* to, uint32_t width, uint32_t height, unsigned reorder);
/// A NAL unit, without length or start code. `number` counts pictures since the key frame.
fake_bytes fake_h264_slice(const fake_picture* picture, unsigned number, unsigned idr);

#endif
