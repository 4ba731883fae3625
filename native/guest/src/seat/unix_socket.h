// SPDX-License-Identifier: Apache-2.0
// Unix stream sockets that carry descriptors, which Node's cannot.
#ifndef SCANBRIDGE_GUEST_SEAT_UNIX_SOCKET_H_
#define SCANBRIDGE_GUEST_SEAT_UNIX_SOCKET_H_

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scanbridge/surface/unique_fd.h"

namespace scanbridge::guest {

/// Descriptors of one message; more are refused by who sends, and closed by who receives.
inline constexpr size_t kMaxDescriptors = 16;

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Received {
  /// Empty with `end`: the other side has closed.
  std::vector<uint8_t> data;
  std::vector<UniqueFd> descriptors;
  bool end = false;
};

// All throw std::system_error, EAGAIN included. Sockets are non-blocking and close-on-exec.

/// What was at the path before is removed. Mode 0600 until it is given to somebody.
UniqueFd ListenUnix(const std::string& path);
UniqueFd ConnectUnix(const std::string& path);
UniqueFd AcceptUnix(int fd);
Peer PeerOf(int fd);

/// Reads at most `limit` bytes, and the descriptors that came with them.
Received Receive(int fd, size_t limit);

/// Sends all or nothing; the peer gets descriptors of its own. Throws EAGAIN when there is no room.
void Send(int fd, std::span<const uint8_t> data, std::span<const int> descriptors);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SEAT_UNIX_SOCKET_H_
