// SPDX-License-Identifier: Apache-2.0
// What an H.264 access unit says of itself.
#ifndef SCANBRIDGE_HOST_ENCODE_H264_SPS_H_
#define SCANBRIDGE_HOST_ENCODE_H264_SPS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace scanbridge::host {

/// Fields of a sequence parameter set (ITU-T H.264, 7.3.2.1 and annex E) that matter to a viewer.
struct H264Sps {
  uint8_t profile_idc = 0;
  uint8_t constraint_flags = 0;
  uint8_t level_idc = 0;
  /// After cropping [pixels].
  uint32_t width = 0;
  uint32_t height = 0;
  /// Absent when the VUI does not say; a decoder then holds pictures back.
  std::optional<uint32_t> max_num_reorder_frames;
  uint32_t max_num_ref_frames = 0;
  /// Bits from the byte after the NAL header to vui_parameters_present_flag and, where there is a
  /// VUI, to its bitstream_restriction_flag.
  size_t vui_at = 0;
  std::optional<size_t> restriction_at;

  /// RFC 6381: "avc1.42c01f".
  std::string Codec() const;
};

/// The NAL unit of the sequence parameter set in an Annex B byte stream, without its start code;
/// empty when there is none.
std::span<const uint8_t> FindSps(std::span<const uint8_t> access_unit);

/// Nothing when the NAL unit is cut short or has values out of the standard's ranges.
std::optional<H264Sps> ParseSps(std::span<const uint8_t> nal);

/// The NAL unit `sps` was parsed from, with the promise that pictures keep their order (annex
/// E.2.1, max_num_reorder_frames = 0). Encoders of GPUs do not give it, and decoders then hold
/// pictures back. Only for streams without B-frames.
std::vector<uint8_t> PromiseOrder(std::span<const uint8_t> nal, const H264Sps& sps);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_H264_SPS_H_
