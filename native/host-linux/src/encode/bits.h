// SPDX-License-Identifier: Apache-2.0
// Bits of parameter sets, most significant first.
#ifndef SCANBRIDGE_HOST_ENCODE_BITS_H_
#define SCANBRIDGE_HOST_ENCODE_BITS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace scanbridge::host {

/// A NAL unit's bytes without emulation prevention (ITU-T H.264 and H.265, 7.4.1).
inline std::vector<uint8_t> Unescape(std::span<const uint8_t> nal) {
  std::vector<uint8_t> bytes;
  bytes.reserve(nal.size());
  size_t zeros = 0;
  for (const uint8_t byte : nal) {
    if (zeros >= 2 && byte == 3) {
      zeros = 0;
      continue;
    }
    zeros = byte == 0 ? zeros + 1 : 0;
    bytes.push_back(byte);
  }
  return bytes;
}

/// Reads; after the end it gives zeros and ok() is false. The bytes are the caller's.
class Bits {
 public:
  explicit Bits(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  /// Bits that were read.
  size_t at() const { return at_; }

  /// At most 32 bits.
  uint32_t Read(unsigned count) {
    uint32_t value = 0;
    for (; count > 0; count--) {
      if (at_ / 8 >= bytes_.size()) {
        ok_ = false;
        return 0;
      }
      value = value << 1 | (bytes_[at_ / 8] >> (7 - at_ % 8) & 1u);
      at_++;
    }
    return value;
  }
  bool Flag() { return Read(1) != 0; }
  void Skip(unsigned count) {
    for (; count > 32; count -= 32) Read(32);
    Read(count);
  }

  /// ue(v)
  uint32_t Unsigned() {
    unsigned zeros = 0;
    while (ok_ && zeros < 32 && !Flag()) zeros++;
    if (zeros > 31) {
      ok_ = false;
      return 0;
    }
    return (1u << zeros) - 1 + Read(zeros);
  }
  /// se(v); only its length matters here.
  void SkipSigned() { (void)Unsigned(); }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

/// Writes.
class BitWriter {
 public:
  void Write(uint32_t value, unsigned count) {
    for (; count > 0; count--) {
      if (used_ % 8 == 0) bytes_.push_back(0);
      bytes_.back() =
          static_cast<uint8_t>(bytes_.back() | (value >> (count - 1) & 1u) << (7 - used_ % 8));
      used_++;
    }
  }
  /// ue(v)
  void Unsigned(uint32_t value) {
    unsigned length = 0;
    while ((uint64_t{value} + 1) >> (length + 1) != 0) length++;
    Write(0, length);
    Write(value + 1, length + 1);
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
  size_t used_ = 0;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_BITS_H_
