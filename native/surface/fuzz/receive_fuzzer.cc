// SPDX-License-Identifier: Apache-2.0
// Feeds arbitrary bytes, cut in arbitrary places and with arbitrary descriptors, to the receive
// path through a real socket. Every message that comes out must satisfy the protocol, and nothing
// may leak.
#include <fcntl.h>
#include <scanbridge/surface/connection.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>

using scanbridge::UniqueFd;
using scanbridge::surface::Connection;
using scanbridge::surface::Message;
using scanbridge::surface::ReceiveStatus;

namespace {

void Drain(Connection& connection, sb_direction from) {
  Message m;
  ReceiveStatus status;
  while ((status = connection.Receive(m)) == ReceiveStatus::kMessage) {
    if (sb_check_message(m.bytes.data(), from) != 0) std::abort();
    if (m.bytes.size() != m.header().length || m.fds.size() != m.header().fd_count) std::abort();
  }
  if (status == ReceiveStatus::kFailed && connection.error().text.empty()) std::abort();
}

bool Write(int socket, const uint8_t* data, size_t size, size_t fd_count, int file) {
  iovec bytes{const_cast<uint8_t*>(data), size};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(20 * sizeof(int))] = {};
  if (fd_count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    for (size_t i = 0; i < fd_count; i++) {
      std::memcpy(CMSG_DATA(c) + i * sizeof file, &file, sizeof file);
    }
  }
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

}  // namespace

// Input: one byte of direction, then pieces: length (1 byte, 0 is 256), descriptors (1 byte),
// bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  static const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  UniqueFd far(fds[1]);
  const sb_direction from = (data[0] & 1) != 0 ? SB_FROM_SERVER : SB_FROM_CLIENT;
  Connection connection(UniqueFd(fds[0]), from);
  size_t at = 1;
  while (at + 2 < size) {
    const size_t wanted = data[at] == 0 ? 256 : data[at];
    const size_t fd_count = data[at + 1] % 21;
    at += 2;
    const size_t piece = wanted < size - at ? wanted : size - at;
    if (!Write(far.get(), data + at, piece, fd_count, file.get())) break;
    at += piece;
    Drain(connection, from);
  }
  far.reset();
  Drain(connection, from);
  return 0;
}
