// SPDX-License-Identifier: Apache-2.0
// The one clock of this package, and of the surface protocol on macOS.
#ifndef SCANBRIDGE_MACOS_CORE_CLOCK_H_
#define SCANBRIDGE_MACOS_CORE_CLOCK_H_

#include <stdint.h>
#include <time.h>

/// CLOCK_MONOTONIC [ns].
static inline uint64_t sbm_now(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
