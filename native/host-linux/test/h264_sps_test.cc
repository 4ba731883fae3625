// SPDX-License-Identifier: Apache-2.0
#include "encode/h264_sps.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace scanbridge::host {
namespace {

/// Writes the bits of a parameter set by hand.
class Writer {
 public:
  Writer& Bits(uint32_t value, unsigned count) {
    for (unsigned i = count; i-- > 0;) {
      if (used_ % 8 == 0) bytes_.push_back(0);
      bytes_.back() |= static_cast<uint8_t>((value >> i & 1) << (7 - used_ % 8));
      used_++;
    }
    return *this;
  }
  Writer& Ue(uint32_t value) {
    unsigned length = 0;
    while (((value + 1) >> length) > 1) length++;
    return Bits(0, length).Bits(value + 1, length + 1);
  }
  /// With emulation prevention.
  std::vector<uint8_t> Nal() {
    Bits(1, 1);
    std::vector<uint8_t> out;
    size_t zeros = 0;
    for (const uint8_t byte : bytes_) {
      if (zeros == 2 && byte <= 3) {
        out.push_back(3);
        zeros = 0;
      }
      zeros = byte == 0 ? zeros + 1 : 0;
      out.push_back(byte);
    }
    return out;
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t used_ = 0;
};

/// 1920x1080, baseline, level 4.
std::vector<uint8_t> Sps(std::optional<uint32_t> reorder) {
  Writer w;
  w.Bits(0x67, 8).Bits(66, 8).Bits(0xc0, 8).Bits(40, 8);
  w.Ue(0).Ue(0).Ue(2).Ue(1).Bits(0, 1).Ue(119).Ue(67).Bits(1, 1).Bits(1, 1);
  w.Bits(1, 1).Ue(0).Ue(0).Ue(0).Ue(4);
  w.Bits(reorder ? 1 : 0, 1);
  if (reorder) {
    w.Bits(0, 1).Bits(0, 1);
    w.Bits(1, 1).Bits(5, 3).Bits(0, 1).Bits(1, 1).Bits(1, 8).Bits(13, 8).Bits(6, 8);
    w.Bits(0, 1);
    w.Bits(1, 1).Bits(0, 32).Bits(1, 32).Bits(0, 1);  // Zeros that need emulation prevention.
    w.Bits(0, 1).Bits(0, 1).Bits(0, 1);
    w.Bits(1, 1).Bits(1, 1).Ue(0).Ue(0).Ue(9).Ue(9).Ue(*reorder).Ue(1);
  }
  return w.Nal();
}

TEST(H264Sps, ReadsSizeCodecAndReordering) {
  const auto sps = ParseSps(Sps(0));
  ASSERT_TRUE(sps);
  EXPECT_EQ(sps->width, 1920u);
  EXPECT_EQ(sps->height, 1080u);
  EXPECT_EQ(sps->Codec(), "avc1.42c028");
  EXPECT_EQ(sps->max_num_reorder_frames, 0u);
  EXPECT_EQ(ParseSps(Sps(2))->max_num_reorder_frames, 2u);
  EXPECT_FALSE(ParseSps(Sps(std::nullopt))->max_num_reorder_frames);
}

TEST(H264Sps, FindsTheParameterSetInAnAccessUnit) {
  const std::vector<uint8_t> sps = Sps(0);
  std::vector<uint8_t> unit = {0, 0, 0, 1, 9, 16, 0, 0, 0, 1};
  unit.insert(unit.end(), sps.begin(), sps.end());
  const std::vector<uint8_t> rest = {0, 0, 0, 1, 0x68, 1, 2, 0, 0, 1, 0x65, 3};
  unit.insert(unit.end(), rest.begin(), rest.end());
  const auto found = FindSps(unit);
  EXPECT_EQ(std::vector<uint8_t>(found.begin(), found.end()), sps);
  const std::vector<uint8_t> without = {0, 0, 0, 1, 0x41, 1, 2, 3};
  EXPECT_TRUE(FindSps(without).empty());
  EXPECT_TRUE(FindSps({}).empty());
}

TEST(H264Sps, CutOrDamagedOnesDoNotHurt) {
  const std::vector<uint8_t> sps = Sps(0);
  for (size_t size = 0; size < 12; size++) {
    EXPECT_FALSE(ParseSps(std::span(sps).first(size))) << size;
  }
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; i++) {
    std::vector<uint8_t> damaged(sps);
    for (int k = 0; k < 4; k++)
      damaged[1 + random() % (damaged.size() - 1)] = static_cast<uint8_t>(random());
    damaged.resize(random() % (damaged.size() + 1));
    const auto parsed = ParseSps(damaged);
    if (parsed) {
      EXPECT_LE(parsed->width, 65'536u);
    }
    (void)FindSps(damaged);
  }
}

}  // namespace
}  // namespace scanbridge::host
