// SPDX-License-Identifier: Apache-2.0
// The one clock of this package.
#ifndef SCANBRIDGE_HOST_CORE_CLOCK_H_
#define SCANBRIDGE_HOST_CORE_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace scanbridge::host {

/// CLOCK_MONOTONIC [ns], the clock of the surface protocol's pts.
inline uint64_t MonotonicNow() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_CLOCK_H_
