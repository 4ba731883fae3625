// SPDX-License-Identifier: Apache-2.0
// Owner of one file descriptor.
#ifndef SCANBRIDGE_SURFACE_UNIQUE_FD_H_
#define SCANBRIDGE_SURFACE_UNIQUE_FD_H_

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace scanbridge {

/// Owns a file descriptor and closes it once, on every path. Empty when it holds -1.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  /// Gives the descriptor away; the caller closes it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  void reset(int fd = -1) {
    const int old = std::exchange(fd_, fd);
    // EINTR of close() is not repeated: on Linux the descriptor is gone already.
    if (old >= 0 && old != fd) (void)::close(old);
  }

  /// A second, close-on-exec descriptor of the same open file; empty when the process has no more
  /// descriptors (errno is set).
  UniqueFd duplicate() const { return UniqueFd(fd_ < 0 ? -1 : ::fcntl(fd_, F_DUPFD_CLOEXEC, 0)); }

 private:
  int fd_ = -1;
};

}  // namespace scanbridge

#endif  // SCANBRIDGE_SURFACE_UNIQUE_FD_H_
