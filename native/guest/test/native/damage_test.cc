// SPDX-License-Identifier: Apache-2.0
#include "server/damage.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace scanbridge::guest {
namespace {

bool Covers(const Damage& damage, uint32_t x, uint32_t y) {
  if (damage.all()) return true;
  for (const sb_rect& r : damage.rects()) {
    if (x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height) return true;
  }
  return false;
}

TEST(Damage, IntersectsWithoutOverflow) {
  const sb_rect picture = {10, 10, 100, 100};
  const sb_rect inside = Intersect({0, 0, 0xffffffff, 0xffffffff}, picture);
  EXPECT_EQ(inside.x, 10u);
  EXPECT_EQ(inside.width, 100u);
  EXPECT_EQ(Intersect({0xfffffff0, 0, 0x20, 0x20}, picture).width, 0u);
  EXPECT_EQ(Intersect({110, 10, 5, 5}, picture).width, 0u);
}

TEST(Damage, DropsWhatIsCovered) {
  Damage damage;
  damage.Add({10, 10, 5, 5});
  damage.Add({0, 0, 100, 100});
  damage.Add({20, 20, 5, 5});
  damage.Add({20, 20, 0, 5});
  ASSERT_EQ(damage.rects().size(), 1u);
  EXPECT_EQ(damage.rects()[0].width, 100u);
}

TEST(Damage, AllSwallowsEverything) {
  Damage damage;
  damage.Add({0, 0, 1, 1});
  Damage other;
  other.AddAll();
  damage.Add(other);
  EXPECT_TRUE(damage.all());
  EXPECT_TRUE(damage.rects().empty());
  damage.Clear();
  EXPECT_TRUE(damage.empty());
}

TEST(Damage, NeverLosesAPixelHoweverManyRectanglesCome) {
  std::mt19937 engine(1);
  const auto random = [&engine](uint32_t limit) { return static_cast<uint32_t>(engine() % limit); };
  for (int round = 0; round < 50; round++) {
    Damage damage;
    std::vector<sb_rect> added;
    for (int i = 0; i < 100; i++) {
      const sb_rect rect = {random(900), random(600), 1 + random(100), 1 + random(100)};
      added.push_back(rect);
      damage.Add(rect);
      ASSERT_LE(damage.rects().size(), size_t{SB_MAX_DAMAGE});
    }
    for (const sb_rect& r : added) {
      EXPECT_TRUE(Covers(damage, r.x, r.y));
      EXPECT_TRUE(Covers(damage, r.x + r.width - 1, r.y + r.height - 1));
    }
  }
}

}  // namespace
}  // namespace scanbridge::guest
