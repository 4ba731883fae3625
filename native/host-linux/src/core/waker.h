// SPDX-License-Identifier: Apache-2.0
// Wakes a thread that polls.
#ifndef SCANBRIDGE_HOST_CORE_WAKER_H_
#define SCANBRIDGE_HOST_CORE_WAKER_H_

#include <scanbridge/surface/unique_fd.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>

namespace scanbridge::host {

/// An eventfd. Any thread wakes, one thread polls fd() and calls Clear.
class Waker {
 public:
  Waker() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!fd_) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  int fd() const { return fd_.get(); }
  // A full counter means that the thread will wake anyway.
  void Wake() { (void)!::eventfd_write(fd_.get(), 1); }
  void Clear() {
    eventfd_t ignored;
    (void)!::eventfd_read(fd_.get(), &ignored);
  }

 private:
  UniqueFd fd_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_WAKER_H_
