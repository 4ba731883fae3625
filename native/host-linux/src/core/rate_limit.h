// SPDX-License-Identifier: Apache-2.0
// How often a picture may be taken.
#ifndef SCANBRIDGE_HOST_CORE_RATE_LIMIT_H_
#define SCANBRIDGE_HOST_CORE_RATE_LIMIT_H_

#include <algorithm>
#include <cstdint>

namespace scanbridge::host {

/// Lets events through at a mean rate, and half an interval early, so that a source at exactly this
/// rate passes whatever its jitter (generic cell rate algorithm). The rate is a twentieth above the
/// stated one: a source at exactly that rate leaves no time to catch up, and one event that came
/// late, or one between, would hold up all that follow. Times in ns.
class RateLimit {
 public:
  explicit RateLimit(uint32_t per_second) : interval_(1'000'000'000u / per_second * 20 / 21) {}

  /// When the next event may pass.
  uint64_t next() const { return due_ > interval_ / 2 ? due_ - interval_ / 2 : 0; }
  bool Allows(uint64_t now) const { return now >= next(); }
  void Take(uint64_t now) { due_ = std::max(due_, now) + interval_; }

 private:
  const uint64_t interval_;
  /// When the next event would be exactly on time.
  uint64_t due_ = 0;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_RATE_LIMIT_H_
