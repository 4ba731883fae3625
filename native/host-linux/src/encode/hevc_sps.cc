// SPDX-License-Identifier: Apache-2.0
#include "encode/hevc_sps.h"

#include <cstdio>

#include "encode/annexb.h"
#include "encode/bits.h"

namespace scanbridge::host {
namespace {

constexpr uint8_t kNalSps = 33;

uint8_t TypeOf(uint8_t first) {
  return first >> 1 & 0x3f;
}

void ReadProfile(Bits& bits, unsigned sub_layers, HevcSps& sps) {
  sps.profile_space = static_cast<uint8_t>(bits.Read(2));
  sps.high_tier = bits.Flag();
  sps.profile_idc = static_cast<uint8_t>(bits.Read(5));
  sps.compatibility_flags = bits.Read(32);
  for (uint8_t& byte : sps.constraint_flags) byte = static_cast<uint8_t>(bits.Read(8));
  sps.level_idc = static_cast<uint8_t>(bits.Read(8));
  std::array<bool, 8> profile{};
  std::array<bool, 8> level{};
  for (unsigned i = 0; i < sub_layers; i++) {
    profile[i] = bits.Flag();
    level[i] = bits.Flag();
  }
  if (sub_layers > 0) bits.Skip(2 * (8 - sub_layers));
  for (unsigned i = 0; i < sub_layers; i++) {
    if (profile[i]) bits.Skip(88);
    if (level[i]) bits.Skip(8);
  }
}

}  // namespace

std::string HevcSps::Codec() const {
  uint32_t reversed = 0;
  for (int i = 0; i < 32; i++) reversed |= (compatibility_flags >> i & 1u) << (31 - i);
  char text[64];
  const char space[2] = {profile_space == 0 ? '\0' : static_cast<char>('A' + profile_space - 1),
                         '\0'};
  std::snprintf(text, sizeof text, "hvc1.%s%u.%X.%c%u", space, unsigned{profile_idc}, reversed,
                high_tier ? 'H' : 'L', unsigned{level_idc});
  std::string codec = text;
  size_t last = constraint_flags.size();
  while (last > 0 && constraint_flags[last - 1] == 0) last--;
  for (size_t i = 0; i < last; i++) {
    std::snprintf(text, sizeof text, ".%X", unsigned{constraint_flags[i]});
    codec += text;
  }
  return codec;
}

std::span<const uint8_t> FindHevcSps(std::span<const uint8_t> access_unit) {
  return FindNal(access_unit, [](uint8_t first) { return TypeOf(first) == kNalSps; });
}

std::optional<HevcSps> ParseHevcSps(std::span<const uint8_t> nal) {
  if (nal.size() < 4 || TypeOf(nal[0]) != kNalSps) return std::nullopt;
  const std::vector<uint8_t> bytes = Unescape(nal.subspan(2));
  Bits bits(bytes);
  HevcSps sps;
  bits.Read(4);
  const unsigned sub_layers = bits.Read(3);
  if (sub_layers > 6) return std::nullopt;
  bits.Flag();
  ReadProfile(bits, sub_layers, sps);
  bits.Unsigned();  // sps_seq_parameter_set_id
  const uint32_t chroma = bits.Unsigned();
  if (chroma == 3) bits.Flag();
  const uint64_t width = bits.Unsigned();
  const uint64_t height = bits.Unsigned();
  uint64_t crop[4] = {};  // left, right, top, bottom
  if (bits.Flag()) {
    for (uint64_t& side : crop) side = bits.Unsigned();
  }
  bits.Unsigned();  // bit_depth_luma_minus8
  bits.Unsigned();
  bits.Unsigned();  // log2_max_pic_order_cnt_lsb_minus4
  // Without it, only the values of the highest layer are there; they are the last in any case.
  const bool each = bits.Flag();
  for (unsigned i = each ? 0 : sub_layers; i <= sub_layers; i++) {
    bits.Unsigned();
    sps.max_num_reorder_pics = bits.Unsigned();
    bits.Unsigned();
  }
  const uint64_t cut_x = (crop[0] + crop[1]) * (chroma == 1 || chroma == 2 ? 2 : 1);
  const uint64_t cut_y = (crop[2] + crop[3]) * (chroma == 1 ? 2 : 1);
  constexpr uint64_t kMax = 65'536;
  if (!bits.ok() || chroma > 3 || width > kMax || height > kMax || cut_x >= width ||
      cut_y >= height) {
    return std::nullopt;
  }
  sps.width = static_cast<uint32_t>(width - cut_x);
  sps.height = static_cast<uint32_t>(height - cut_y);
  return sps;
}

}  // namespace scanbridge::host
