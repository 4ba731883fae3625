// SPDX-License-Identifier: Apache-2.0
#include "seat/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "lease/system_error.h"

namespace scanbridge::guest {
namespace {

constexpr int kBacklog = 16;
constexpr int kType = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    ThrowErrno("a socket's path has 1 to 107 bytes: " + path, ENAMETOOLONG);
  }
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

}  // namespace

UniqueFd ListenUnix(const std::string& path) {
  const sockaddr_un address = AddressOf(path);
  UniqueFd fd(socket(AF_UNIX, kType, 0));
  if (!fd) ThrowErrno("cannot make a socket");
  unlink(path.c_str());
  // A socket's file has the mode of the socket at bind(): there is no moment in which others may
  // connect.
  if (fchmod(fd.get(), 0600) != 0 ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), kBacklog) != 0) {
    ThrowErrno("cannot listen on " + path);
  }
  return fd;
}

UniqueFd ConnectUnix(const std::string& path) {
  const sockaddr_un address = AddressOf(path);
  UniqueFd fd(socket(AF_UNIX, kType, 0));
  if (!fd) ThrowErrno("cannot make a socket");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ThrowErrno("cannot connect to " + path);
  }
  return fd;
}

UniqueFd AcceptUnix(int fd) {
  UniqueFd accepted(accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted) ThrowErrno("cannot accept a connection");
  return accepted;
}

Peer PeerOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    ThrowErrno("cannot learn who is at the other end of a socket");
  }
  return {peer.pid, peer.uid, peer.gid};
}

Received Receive(int fd, size_t limit) {
  Received received;
  received.data.resize(limit);
  iovec vector{received.data.data(), limit};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (length < 0) ThrowErrno("cannot read from a socket");
  received.data.resize(static_cast<size_t>(length));
  received.end = length == 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int value = -1;
      memcpy(&value, CMSG_DATA(header) + i * sizeof(int), sizeof value);
      received.descriptors.emplace_back(value);
    }
  }
  return received;
}

void Send(int fd, std::span<const uint8_t> data, std::span<const int> descriptors) {
  if (data.empty() || descriptors.size() > kMaxDescriptors) {
    ThrowErrno("a message has at least one byte and at most 16 descriptors", EINVAL);
  }
  iovec vector{const_cast<uint8_t*>(data.data()), data.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (sent < 0) ThrowErrno("cannot write to a socket");
  // Messages are far smaller than a socket's buffer; who lets them pile up to its end does not
  // read.
  if (static_cast<size_t>(sent) != data.size()) {
    ThrowErrno("the other side of a socket does not read", EAGAIN);
  }
}

}  // namespace scanbridge::guest
