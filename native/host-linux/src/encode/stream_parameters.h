// SPDX-License-Identifier: Apache-2.0
// The parameter sets of a key frame, whatever the codec.
#ifndef SCANBRIDGE_HOST_ENCODE_STREAM_PARAMETERS_H_
#define SCANBRIDGE_HOST_ENCODE_STREAM_PARAMETERS_H_

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "encode/engine_table.h"

namespace scanbridge::host {

struct StreamParameters {
  /// RFC 6381.
  std::string codec;
  /// As decoded [pixels].
  uint32_t width = 0;
  uint32_t height = 0;
  /// What to send in place of the parameter set in the access unit; empty: it is fine as it is.
  std::vector<uint8_t> replacement;
  /// Where the parameter set lies in the access unit.
  std::span<const uint8_t> bytes;
};

/// Reads a key frame's parameter sets. A text: why the stream cannot be shown, as the end of a
/// sentence.
std::variant<StreamParameters, std::string> ReadParameters(Codec codec,
                                                           std::span<const uint8_t> access_unit,
                                                           uint32_t frames_per_second);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_STREAM_PARAMETERS_H_
