// SPDX-License-Identifier: Apache-2.0
#include "encode/h264_sps.h"

#include <algorithm>
#include <cstdio>

#include "encode/annexb.h"
#include "encode/bits.h"

namespace scanbridge::host {
namespace {

constexpr uint8_t kNalSps = 7;

bool HasChromaFormat(uint8_t profile) {
  switch (profile) {
    case 100:
    case 110:
    case 122:
    case 244:
    case 44:
    case 83:
    case 86:
    case 118:
    case 128:
    case 138:
    case 139:
    case 134:
    case 135:
      return true;
    default:
      return false;
  }
}

void SkipScalingList(Bits& bits, unsigned size) {
  // Deltas wrap at 256 and end the list when they reach 0 (7.3.2.1.1.1).
  int last = 8;
  int next = 8;
  for (unsigned i = 0; i < size && bits.ok(); i++) {
    if (next != 0) {
      const uint32_t code = bits.Unsigned();
      const int delta =
          code % 2 == 0 ? -static_cast<int>(code / 2) : static_cast<int>(code / 2 + 1);
      next = (last + delta % 256 + 256) % 256;
    }
    last = next == 0 ? last : next;
  }
}

void SkipHrd(Bits& bits) {
  const uint32_t count = bits.Unsigned();
  bits.Read(8);
  for (uint32_t i = 0; i <= count && i < 32 && bits.ok(); i++) {
    bits.Unsigned();
    bits.Unsigned();
    bits.Flag();
  }
  bits.Read(20);
}

void ReadVui(Bits& bits, H264Sps& sps) {
  if (bits.Flag() && bits.Read(8) == 255) {  // aspect_ratio_info, Extended_SAR
    bits.Read(32);
  }
  if (bits.Flag()) bits.Flag();  // overscan
  if (bits.Flag()) {             // video_signal_type
    bits.Read(4);
    if (bits.Flag()) bits.Read(24);
  }
  if (bits.Flag()) {  // chroma_loc_info
    bits.Unsigned();
    bits.Unsigned();
  }
  if (bits.Flag()) {  // timing_info
    bits.Read(32);
    bits.Read(32);
    bits.Flag();
  }
  const bool nal_hrd = bits.Flag();
  if (nal_hrd) SkipHrd(bits);
  const bool vcl_hrd = bits.Flag();
  if (vcl_hrd) SkipHrd(bits);
  if (nal_hrd || vcl_hrd) bits.Flag();
  bits.Flag();  // pic_struct_present
  sps.restriction_at = bits.at();
  if (!bits.Flag()) return;  // bitstream_restriction
  bits.Flag();
  for (int i = 0; i < 4; i++) bits.Unsigned();
  const uint32_t reorder = bits.Unsigned();
  if (bits.ok()) sps.max_num_reorder_frames = reorder;
}

}  // namespace

std::string H264Sps::Codec() const {
  char text[16];
  std::snprintf(text, sizeof text, "avc1.%02x%02x%02x", profile_idc, constraint_flags, level_idc);
  return text;
}

std::span<const uint8_t> FindSps(std::span<const uint8_t> access_unit) {
  return FindNal(access_unit, [](uint8_t first) { return (first & 0x1f) == kNalSps; });
}

std::optional<H264Sps> ParseSps(std::span<const uint8_t> nal) {
  if (nal.size() < 5 || (nal[0] & 0x1f) != kNalSps) return std::nullopt;
  H264Sps sps;
  const std::vector<uint8_t> bytes = Unescape(nal.subspan(1));
  Bits bits(bytes);
  sps.profile_idc = static_cast<uint8_t>(bits.Read(8));
  sps.constraint_flags = static_cast<uint8_t>(bits.Read(8));
  sps.level_idc = static_cast<uint8_t>(bits.Read(8));
  bits.Unsigned();  // seq_parameter_set_id
  uint32_t chroma = 1;
  if (HasChromaFormat(sps.profile_idc)) {
    chroma = bits.Unsigned();
    if (chroma == 3) bits.Flag();
    bits.Unsigned();
    bits.Unsigned();
    bits.Flag();
    if (bits.Flag()) {
      for (unsigned i = 0; i < (chroma == 3 ? 12u : 8u); i++) {
        if (bits.Flag()) SkipScalingList(bits, i < 6 ? 16 : 64);
      }
    }
  }
  bits.Unsigned();  // log2_max_frame_num
  const uint32_t order = bits.Unsigned();
  if (order == 0) {
    bits.Unsigned();
  } else if (order == 1) {
    bits.Flag();
    bits.SkipSigned();
    bits.SkipSigned();
    const uint32_t count = bits.Unsigned();
    for (uint32_t i = 0; i < count && bits.ok(); i++) bits.SkipSigned();
  }
  sps.max_num_ref_frames = bits.Unsigned();
  bits.Flag();
  const uint64_t columns = uint64_t{bits.Unsigned()} + 1;
  const uint64_t rows = uint64_t{bits.Unsigned()} + 1;
  const bool frames_only = bits.Flag();
  if (!frames_only) bits.Flag();
  bits.Flag();
  uint64_t crop[4] = {};  // left, right, top, bottom
  if (bits.Flag()) {
    for (uint64_t& side : crop) side = bits.Unsigned();
  }
  sps.vui_at = bits.at();
  if (bits.Flag()) ReadVui(bits, sps);
  const uint64_t field = frames_only ? 1 : 2;
  const uint64_t unit_x = chroma == 1 || chroma == 2 ? 2 : 1;
  const uint64_t unit_y = (chroma == 1 ? 2 : 1) * field;
  const uint64_t width = columns * 16;
  const uint64_t height = rows * 16 * field;
  const uint64_t cut_x = (crop[0] + crop[1]) * unit_x;
  const uint64_t cut_y = (crop[2] + crop[3]) * unit_y;
  constexpr uint64_t kMax = 65'536;
  if (!bits.ok() || width > kMax || height > kMax || cut_x >= width || cut_y >= height) {
    return std::nullopt;
  }
  sps.width = static_cast<uint32_t>(width - cut_x);
  sps.height = static_cast<uint32_t>(height - cut_y);
  return sps;
}

std::vector<uint8_t> PromiseOrder(std::span<const uint8_t> nal, const H264Sps& sps) {
  const std::vector<uint8_t> bytes = Unescape(nal.subspan(1));
  Bits bits(bytes);
  BitWriter out;
  const size_t keep = sps.restriction_at.value_or(sps.vui_at);
  for (size_t i = 0; i < keep; i++) out.Write(bits.Read(1), 1);
  if (!sps.restriction_at) {
    out.Write(1, 1);  // vui_parameters_present_flag
    out.Write(0, 8);  // nothing is said of what comes before the restrictions
  }
  out.Write(0b11, 2);  // bitstream_restriction, motion vectors over picture boundaries
  out.Unsigned(0);     // max_bytes_per_pic_denom: no limit
  out.Unsigned(0);     // max_bits_per_mb_denom: no limit
  out.Unsigned(15);    // log2_max_mv_length_horizontal, and vertical: the largest
  out.Unsigned(15);
  out.Unsigned(0);  // max_num_reorder_frames
  out.Unsigned(std::max(sps.max_num_ref_frames, 1u));
  out.Write(1, 1);  // rbsp_stop_one_bit
  std::vector<uint8_t> result{nal[0]};
  size_t zeros = 0;
  for (const uint8_t byte : out.bytes()) {
    if (zeros >= 2 && byte <= 3) {
      result.push_back(3);
      zeros = 0;
    }
    zeros = byte == 0 ? zeros + 1 : 0;
    result.push_back(byte);
  }
  return result;
}

}  // namespace scanbridge::host
