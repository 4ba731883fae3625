// SPDX-License-Identifier: Apache-2.0
// NAL units in a byte stream with start codes (annex B of ITU-T H.264 and H.265).
#ifndef SCANBRIDGE_HOST_ENCODE_ANNEXB_H_
#define SCANBRIDGE_HOST_ENCODE_ANNEXB_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace scanbridge::host {

/// The first NAL unit, without its start code, whose first byte `wanted` accepts; empty when there
/// is none.
template <typename Wanted>
std::span<const uint8_t> FindNal(std::span<const uint8_t> stream, Wanted wanted) {
  size_t start = 0;
  bool inside = false;
  for (size_t i = 0; i + 3 < stream.size(); i++) {
    if (stream[i] != 0 || stream[i + 1] != 0 || stream[i + 2] != 1) continue;
    if (inside) {
      size_t end = i;
      while (end > start && stream[end - 1] == 0) end--;
      return stream.subspan(start, end - start);
    }
    inside = wanted(stream[i + 3]);
    start = i + 3;
    i += 2;
  }
  return inside ? stream.subspan(start) : std::span<const uint8_t>();
}

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_ANNEXB_H_
