// SPDX-License-Identifier: Apache-2.0
// A moving picture that needs no producer.
#ifndef SCANBRIDGE_MACOS_ENGINE_PATTERN_H_
#define SCANBRIDGE_MACOS_ENGINE_PATTERN_H_

#include "surface/picture.h"

/// Colour bars over a grey ramp, a bar that moves, and in the upper left corner the number of the
/// picture as 32 blocks of 8x8 pixels, most significant bit first, white for 1: a decoder can tell
/// which picture it has. Painted only when it is taken.
typedef struct sbm_pattern sbm_pattern;

/// Pixels, and pictures a second. NULL and `error` otherwise.
sbm_pattern* sbm_pattern_open(uint32_t width, uint32_t height, uint32_t fps, sbm_error* error);
void sbm_pattern_close(sbm_pattern* pattern);
/// When the next picture is due [ns].
uint64_t sbm_pattern_due(const sbm_pattern* pattern);
/// The picture that is due, painted into memory that nobody holds; belongs to the pattern. NULL
/// when all is held. `replaced` counts the pictures that were not taken in time.
sbm_picture* sbm_pattern_take(sbm_pattern* pattern, uint64_t now, uint64_t* replaced);

#endif
