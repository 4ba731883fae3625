// SPDX-License-Identifier: Apache-2.0
// Messages of the surface protocol as values: typed views on received bytes, and builders.
#ifndef SCANBRIDGE_SURFACE_MESSAGE_H_
#define SCANBRIDGE_SURFACE_MESSAGE_H_

#include <scanbridge/surface.h>
#include <scanbridge/surface/unique_fd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace scanbridge::surface {

/// Descriptors of one message, at most SB_MAX_FDS, without allocation.
class FdList {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  UniqueFd& operator[](size_t i) { return fds_[i]; }
  const UniqueFd& operator[](size_t i) const { return fds_[i]; }

  /// Takes the descriptor over. False, and `fd` closed, when the list is full.
  bool push_back(UniqueFd fd) {
    if (size_ == fds_.size()) return false;
    fds_[size_++] = std::move(fd);
    return true;
  }

  void clear() {
    for (size_t i = 0; i < size_; i++) fds_[i].reset();
    size_ = 0;
  }

  FdList() = default;
  FdList(FdList&& other) noexcept
      : fds_(std::move(other.fds_)), size_(std::exchange(other.size_, 0)) {}
  FdList& operator=(FdList&& other) noexcept {
    fds_ = std::move(other.fds_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

 private:
  std::array<UniqueFd, SB_MAX_FDS> fds_;
  size_t size_ = 0;
};

/// A received message. Every field was checked by sb_check_message.
struct Message {
  /// Fixed part and what follows it; belongs to the connection and lives until its next Receive.
  std::span<const uint8_t> bytes;
  /// header().fd_count descriptors; take what is wanted, the rest is closed.
  FdList fds;

  sb_header header() const { return As<sb_header>(); }

  /// Copy of the fixed part; `T` is the struct of header().type, or sb_header.
  template <typename T>
  T As() const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

  /// The bytes behind the fixed part `T`: damage rectangles, cursor pixels.
  template <typename T>
  std::span<const uint8_t> Tail() const {
    return bytes.subspan(sizeof(T));
  }
};

/// A zeroed `T` with its header filled in. A message with a tail sets header.length itself.
template <typename T>
T Make(sb_msg_type type, uint32_t stream = 0, uint32_t serial = 0) {
  T message{};
  message.header.length = sizeof(T);
  message.header.type = static_cast<uint16_t>(type);
  message.header.stream = stream;
  message.header.serial = serial;
  return message;
}

/// Copies `text` into a field that ends with NUL, and cuts it at a whole UTF-8 character.
template <size_t N>
void SetText(char (&field)[N], std::string_view text) {
  size_t size = text.size() < N ? text.size() : N - 1;
  while (size < text.size() && size > 0 && (text[size] & 0xc0) == 0x80) size--;
  std::memset(field, 0, N);
  std::memcpy(field, text.data(), size);
}

/// The text of a field, up to its NUL.
template <size_t N>
std::string_view Text(const char (&field)[N]) {
  return {field, ::strnlen(field, N)};
}

}  // namespace scanbridge::surface

#endif  // SCANBRIDGE_SURFACE_MESSAGE_H_
