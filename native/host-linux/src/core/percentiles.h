// SPDX-License-Identifier: Apache-2.0
// Percentiles of the newest values.
#ifndef SCANBRIDGE_HOST_CORE_PERCENTILES_H_
#define SCANBRIDGE_HOST_CORE_PERCENTILES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace scanbridge::host {

struct PercentileSet {
  uint32_t p50 = 0;
  uint32_t p95 = 0;
  uint32_t p99 = 0;
};

/// Keeps the last 1024 values. Not thread-safe.
class Percentiles {
 public:
  void Add(uint64_t value) {
    values_[count_++ % values_.size()] =
        static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX));
  }

  PercentileSet Get() const {
    const size_t size = std::min(count_, values_.size());
    if (size == 0) return {};
    std::array<uint32_t, kSize> sorted = values_;
    std::sort(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(size));
    const auto at = [&](size_t percent) { return sorted[(size - 1) * percent / 100]; };
    return {at(50), at(95), at(99)};
  }

 private:
  static constexpr size_t kSize = 1024;
  std::array<uint32_t, kSize> values_{};
  size_t count_ = 0;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_PERCENTILES_H_
