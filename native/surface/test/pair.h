// SPDX-License-Identifier: Apache-2.0
// A connected pair of sockets and raw ways to write to one end, for tests.
#ifndef SCANBRIDGE_SURFACE_TEST_PAIR_H_
#define SCANBRIDGE_SURFACE_TEST_PAIR_H_

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <scanbridge/surface/unique_fd.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace scanbridge::surface::test {

struct Pair {
  Pair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    near.reset(fds[0]);
    far.reset(fds[1]);
  }
  UniqueFd near;
  UniqueFd far;
};

inline UniqueFd AnyFile() {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

/// Writes bytes with `count` descriptors attached, past every check of Connection.
inline void RawSend(int socket, std::span<const uint8_t> bytes, size_t count = 0) {
  iovec data{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
  const UniqueFd file = AnyFile();
  if (count > 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; i++) {
      const int raw = file.get();
      std::memcpy(CMSG_DATA(c) + i * sizeof raw, &raw, sizeof raw);
    }
  }
  ASSERT_EQ(::sendmsg(socket, &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

template <typename T>
std::span<const uint8_t> Bytes(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

/// Open descriptors of this process, to see that none is leaked.
inline size_t OpenDescriptors() {
  DIR* const dir = ::opendir("/proc/self/fd");
  size_t count = 0;
  while (::readdir(dir) != nullptr) count++;
  ::closedir(dir);
  return count;
}

}  // namespace scanbridge::surface::test

#endif  // SCANBRIDGE_SURFACE_TEST_PAIR_H_
