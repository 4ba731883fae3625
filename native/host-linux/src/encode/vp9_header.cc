// SPDX-License-Identifier: Apache-2.0
#include "encode/vp9_header.h"

#include <cstdio>

#include "encode/bits.h"

namespace scanbridge::host {
namespace {

/// Annex A: the largest rate [luma samples/s] and picture [luma samples] of each level.
constexpr struct {
  unsigned level;
  uint64_t rate;
  uint64_t size;
} kLevels[] = {
    {10, 829'440, 36'864},           {11, 2'764'800, 73'728},
    {20, 4'608'000, 122'880},        {21, 9'216'000, 245'760},
    {30, 20'736'000, 552'960},       {31, 36'864'000, 983'040},
    {40, 83'558'400, 2'228'224},     {41, 160'432'128, 2'228'224},
    {50, 311'951'360, 8'912'896},    {51, 588'251'136, 8'912'896},
    {52, 1'176'502'272, 8'912'896},  {60, 1'176'502'272, 35'651'584},
    {61, 2'353'004'544, 35'651'584}, {62, 4'706'009'088, 35'651'584},
};
constexpr uint32_t kSyncCode = 0x498342;
constexpr uint32_t kRgb = 7;

}  // namespace

std::string Vp9Header::Codec(uint32_t frames_per_second) const {
  const uint64_t size = uint64_t{width} * height;
  unsigned level = 62;
  for (const auto& each : kLevels) {
    if (size > each.size || size * frames_per_second > each.rate) continue;
    level = each.level;
    break;
  }
  char text[24];
  std::snprintf(text, sizeof text, "vp09.%02u.%02u.%02u", unsigned{profile}, level,
                unsigned{bit_depth});
  return text;
}

std::optional<Vp9Header> ParseVp9Header(std::span<const uint8_t> frame) {
  Bits bits(frame);
  Vp9Header header;
  if (bits.Read(2) != 2) return std::nullopt;
  const uint32_t low = bits.Read(1);
  header.profile = static_cast<uint8_t>(bits.Read(1) << 1 | low);
  if (header.profile == 3) bits.Flag();
  if (bits.Flag() || bits.Flag()) return std::nullopt;  // an existing frame; no key frame
  bits.Skip(2);
  if (bits.Read(24) != kSyncCode) return std::nullopt;
  if (header.profile >= 2) header.bit_depth = bits.Flag() ? 12 : 10;
  const bool subsampled = (header.profile & 1) != 0;
  if (bits.Read(3) != kRgb) {
    bits.Flag();
    if (subsampled) bits.Skip(3);
  } else if (subsampled) {
    bits.Flag();
  }
  header.width = bits.Read(16) + 1;
  header.height = bits.Read(16) + 1;
  if (!bits.ok()) return std::nullopt;
  return header;
}

}  // namespace scanbridge::host
