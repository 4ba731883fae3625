// SPDX-License-Identifier: Apache-2.0
// What a VP9 key frame says of itself.
#ifndef SCANBRIDGE_HOST_ENCODE_VP9_HEADER_H_
#define SCANBRIDGE_HOST_ENCODE_VP9_HEADER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace scanbridge::host {

/// Fields of the uncompressed header of a key frame (VP9 bitstream specification, 6.2) that matter
/// to a viewer.
struct Vp9Header {
  uint8_t profile = 0;
  uint8_t bit_depth = 8;
  uint32_t width = 0;
  uint32_t height = 0;

  /// "vp09.00.31.08". The stream does not say its level: it follows from size and rate (annex A).
  std::string Codec(uint32_t frames_per_second) const;
};

/// Nothing when it is no key frame, or cut short.
std::optional<Vp9Header> ParseVp9Header(std::span<const uint8_t> frame);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_VP9_HEADER_H_
