// SPDX-License-Identifier: Apache-2.0
#include "videotoolbox/memory.h"

#include <stdatomic.h>

static _Atomic size_t reserved;

size_t sbm_memory_estimate(uint32_t width, uint32_t height) {
  return (size_t)width * height * SBM_SESSION_BYTES_PER_PIXEL;
}

bool sbm_memory_reserve(size_t bytes) {
  const size_t most = (size_t)SBM_SESSIONS_MAX_MIB << 20;
  size_t now = atomic_load(&reserved);
  do {
    if (bytes > most || now > most - bytes) return false;
  } while (!atomic_compare_exchange_weak(&reserved, &now, now + bytes));
  return true;
}

void sbm_memory_release(size_t bytes) {
  atomic_fetch_sub(&reserved, bytes);
}

size_t sbm_memory_reserved(void) {
  return atomic_load(&reserved);
}
