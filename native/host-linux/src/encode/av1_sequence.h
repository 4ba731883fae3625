// SPDX-License-Identifier: Apache-2.0
// What an AV1 temporal unit says of itself.
#ifndef SCANBRIDGE_HOST_ENCODE_AV1_SEQUENCE_H_
#define SCANBRIDGE_HOST_ENCODE_AV1_SEQUENCE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace scanbridge::host {

/// Fields of a sequence header (AV1 specification, 5.5) that matter to a viewer.
struct Av1Sequence {
  uint8_t profile = 0;
  uint8_t level = 0;
  bool high_tier = false;
  uint8_t bit_depth = 8;
  /// Largest frame [pixels].
  uint32_t width = 0;
  uint32_t height = 0;

  /// "av01.0.04M.08"
  std::string Codec() const;
};

/// The payload of the sequence header in a low-overhead byte stream; empty when there is none, or
/// the stream is damaged before it.
std::span<const uint8_t> FindAv1Sequence(std::span<const uint8_t> temporal_unit);

/// Nothing when it is cut short.
std::optional<Av1Sequence> ParseAv1Sequence(std::span<const uint8_t> payload);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_AV1_SEQUENCE_H_
