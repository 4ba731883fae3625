// SPDX-License-Identifier: Apache-2.0
#include "encode/av1_sequence.h"

#include <cstdio>

#include "encode/bits.h"

namespace scanbridge::host {
namespace {

constexpr uint8_t kSequenceHeader = 1;

/// leb128() at the start of `bytes`, which is cut to what follows.
std::optional<uint64_t> ReadSize(std::span<const uint8_t>& bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < 8 && i < bytes.size(); i++) {
    value |= uint64_t{bytes[i] & 0x7fu} << (7 * i);
    if ((bytes[i] & 0x80) != 0) continue;
    bytes = bytes.subspan(i + 1);
    return value;
  }
  return std::nullopt;
}

/// uvlc()
void SkipVariable(Bits& bits) {
  unsigned zeros = 0;
  while (bits.ok() && zeros < 32 && !bits.Flag()) zeros++;
  if (zeros < 32) bits.Read(zeros);
}

void ReadOperatingPoints(Bits& bits, Av1Sequence& sequence) {
  unsigned delay_bits = 0;
  if (bits.Flag()) {  // timing_info
    bits.Skip(64);
    if (bits.Flag()) SkipVariable(bits);
    if (bits.Flag()) {  // decoder_model_info
      delay_bits = bits.Read(5) + 1;
      bits.Skip(32 + 5 + 5);
    }
  }
  const bool display_delay = bits.Flag();
  const unsigned count = bits.Read(5) + 1;
  for (unsigned i = 0; i < count; i++) {
    bits.Read(12);
    const uint32_t level = bits.Read(5);
    const bool tier = level > 7 && bits.Flag();
    if (i == 0) {
      sequence.level = static_cast<uint8_t>(level);
      sequence.high_tier = tier;
    }
    if (delay_bits > 0 && bits.Flag()) bits.Skip(2 * delay_bits + 1);
    if (display_delay && bits.Flag()) bits.Read(4);
  }
}

void SkipTools(Bits& bits) {
  bits.Skip(4);  // interintra, masked, warped, dual filter
  const bool order_hint = bits.Flag();
  if (order_hint) bits.Skip(2);
  constexpr uint32_t kChosenByFrame = 2;
  const uint32_t screen = bits.Flag() ? kChosenByFrame : bits.Read(1);
  if (screen > 0 && !bits.Flag()) bits.Flag();
  if (order_hint) bits.Read(3);
}

}  // namespace

std::string Av1Sequence::Codec() const {
  char text[24];
  std::snprintf(text, sizeof text, "av01.%u.%02u%c.%02u", unsigned{profile}, unsigned{level},
                high_tier ? 'H' : 'M', unsigned{bit_depth});
  return text;
}

std::span<const uint8_t> FindAv1Sequence(std::span<const uint8_t> temporal_unit) {
  std::span<const uint8_t> rest = temporal_unit;
  while (!rest.empty()) {
    const uint8_t header = rest[0];
    const bool extension = (header & 4) != 0;
    const bool sized = (header & 2) != 0;
    if ((header & 0x80) != 0 || rest.size() < (extension ? 2u : 1u)) return {};
    rest = rest.subspan(extension ? 2 : 1);
    uint64_t size = rest.size();
    if (sized) {
      const auto read = ReadSize(rest);
      if (!read || *read > rest.size()) return {};
      size = *read;
    }
    if ((header >> 3 & 15) == kSequenceHeader) return rest.subspan(0, size);
    rest = rest.subspan(size);
  }
  return {};
}

std::optional<Av1Sequence> ParseAv1Sequence(std::span<const uint8_t> payload) {
  Bits bits(payload);
  Av1Sequence sequence;
  sequence.profile = static_cast<uint8_t>(bits.Read(3));
  bits.Flag();
  const bool reduced = bits.Flag();
  if (reduced) {
    sequence.level = static_cast<uint8_t>(bits.Read(5));
  } else {
    ReadOperatingPoints(bits, sequence);
  }
  const unsigned width_bits = bits.Read(4) + 1;
  const unsigned height_bits = bits.Read(4) + 1;
  sequence.width = bits.Read(width_bits) + 1;
  sequence.height = bits.Read(height_bits) + 1;
  if (!reduced && bits.Flag()) bits.Skip(7);
  bits.Skip(3);  // 128x128 superblocks, filter intra, intra edge filter
  if (!reduced) SkipTools(bits);
  bits.Skip(3);  // superres, cdef, restoration
  const bool high = bits.Flag();
  sequence.bit_depth = high ? 10 : 8;
  if (sequence.profile == 2 && high && bits.Flag()) sequence.bit_depth = 12;
  if (!bits.ok() || sequence.profile > 2) return std::nullopt;
  return sequence;
}

}  // namespace scanbridge::host
