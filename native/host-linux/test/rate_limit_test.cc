// SPDX-License-Identifier: Apache-2.0
#include "core/rate_limit.h"

#include <gtest/gtest.h>

#include "core/percentiles.h"

namespace scanbridge::host {
namespace {

constexpr uint64_t kStart = 1'000'000'000;

/// Events of a source that pass within a second; the source's n-th event is at n * interval +
/// jitter.
int Passed(RateLimit& limit, uint64_t interval, uint64_t jitter) {
  int passed = 0;
  for (uint64_t n = 0; n * interval < 1'000'000'000; n++) {
    const uint64_t now = kStart + n * interval + (n % 2 == 0 ? jitter : 0);
    if (!limit.Allows(now)) continue;
    limit.Take(now);
    passed++;
  }
  return passed;
}

TEST(RateLimit, LetsASourceAtItsRateThroughDespiteJitter) {
  RateLimit limit(60);
  EXPECT_EQ(Passed(limit, 16'666'667, 6'000'000), 60);
}

TEST(RateLimit, CatchesUpAfterALateEvent) {
  RateLimit limit(60);
  constexpr uint64_t kInterval = 16'666'667;
  // Late by nearly an interval: the next ones come too early for a while, and then no more.
  limit.Take(kStart + 16'000'000);
  int held = 0;
  for (uint64_t n = 1; n <= 60; n++) {
    uint64_t now = kStart + n * kInterval;
    if (!limit.Allows(now)) {
      now = limit.next();
      held++;
    }
    limit.Take(now);
  }
  EXPECT_GT(held, 0);
  EXPECT_LT(held, 15);
  EXPECT_TRUE(limit.Allows(kStart + 61 * kInterval));
}

TEST(RateLimit, HoldsAFasterSourceToTheRate) {
  RateLimit limit(30);
  EXPECT_NEAR(Passed(limit, 8'333'333, 0), 30, 2);
}

TEST(RateLimit, APauseGivesNoBurst) {
  RateLimit limit(10);
  limit.Take(kStart);
  const uint64_t later = kStart + 10'000'000'000;
  limit.Take(later);
  EXPECT_FALSE(limit.Allows(later + 40'000'000));
  EXPECT_TRUE(limit.Allows(later + 48'000'000));
}

TEST(Percentiles, AreOfTheNewestValues) {
  Percentiles values;
  EXPECT_EQ(values.Get().p50, 0u);
  for (uint32_t i = 0; i < 5000; i++) values.Add(7);
  for (uint32_t i = 1; i <= 1024; i++) values.Add(i);
  EXPECT_NEAR(values.Get().p50, 512, 1);
  EXPECT_NEAR(values.Get().p95, 973, 1);
  values.Add(UINT64_MAX);
  EXPECT_NEAR(values.Get().p99, 1014, 1);
}

}  // namespace
}  // namespace scanbridge::host
