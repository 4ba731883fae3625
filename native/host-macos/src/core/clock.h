// SPDX-License-Identifier: Apache-2.0
// The one clock of this package, and of the surface protocol on macOS.
#ifndef SCANBRIDGE_MACOS_CORE_CLOCK_H_
#define SCANBRIDGE_MACOS_CORE_CLOCK_H_

#include <stdint.h>
#include <time.h>

/// CLOCK_UPTIME_RAW, which stands still while the Mac sleeps; elsewhere CLOCK_MONOTONIC [ns].
static inline uint64_t sbm_now(void) {
#ifdef __APPLE__
  return clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
#else
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

#endif
