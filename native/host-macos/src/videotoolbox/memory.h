// SPDX-License-Identifier: Apache-2.0
// Keeps the encoder service from being killed for its memory.
#ifndef SCANBRIDGE_MACOS_VIDEOTOOLBOX_MEMORY_H_
#define SCANBRIDGE_MACOS_VIDEOTOOLBOX_MEMORY_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The service was seen to end near 1 GB with three sessions of 5120x2880: 24 bytes a pixel. All
/// sessions of a process together get less than that.
enum { SBM_SESSION_BYTES_PER_PIXEL = 24, SBM_SESSIONS_MAX_MIB = 800 };

/// What a session of this size is taken to need [bytes].
size_t sbm_memory_estimate(uint32_t width, uint32_t height);
/// False when the sessions of this process would need too much; nothing is reserved then. Any
/// thread.
bool sbm_memory_reserve(size_t bytes);
void sbm_memory_release(size_t bytes);
/// Reserved by all sessions of this process [bytes].
size_t sbm_memory_reserved(void);

#endif
