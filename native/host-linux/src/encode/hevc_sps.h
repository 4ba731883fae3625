// SPDX-License-Identifier: Apache-2.0
// What an HEVC access unit says of itself.
#ifndef SCANBRIDGE_HOST_ENCODE_HEVC_SPS_H_
#define SCANBRIDGE_HOST_ENCODE_HEVC_SPS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace scanbridge::host {

/// Fields of a sequence parameter set (ITU-T H.265, 7.3.2.2) that matter to a viewer.
struct HevcSps {
  uint8_t profile_space = 0;
  bool high_tier = false;
  uint8_t profile_idc = 0;
  uint32_t compatibility_flags = 0;
  std::array<uint8_t, 6> constraint_flags{};
  uint8_t level_idc = 0;
  /// Within the conformance window [pixels].
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t max_num_reorder_pics = 0;

  /// ISO/IEC 14496-15, annex E.3: "hvc1.1.6.L93.B0".
  std::string Codec() const;
};

/// The NAL unit in an Annex B byte stream, without its start code; empty when there is none.
std::span<const uint8_t> FindHevcSps(std::span<const uint8_t> access_unit);

/// Nothing when the NAL unit is cut short or has values out of the standard's ranges.
std::optional<HevcSps> ParseHevcSps(std::span<const uint8_t> nal);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_HEVC_SPS_H_
