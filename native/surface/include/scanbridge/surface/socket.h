// SPDX-License-Identifier: Apache-2.0
// Unix stream sockets at a path: connect, listen, and who the peer is.
#ifndef SCANBRIDGE_SURFACE_SOCKET_H_
#define SCANBRIDGE_SURFACE_SOCKET_H_

#include <scanbridge/surface/error.h>
#include <scanbridge/surface/unique_fd.h>
#include <sys/types.h>

#include <optional>
#include <string>

namespace scanbridge::surface {

/// Connects to the socket at `path`. Does not wait: a listener whose backlog is full is EAGAIN.
/// Empty on failure, with `error` filled.
UniqueFd Connect(const std::string& path, Error& error);

/// A listening socket, mode 0600; the path is removed when the listener goes.
class Listener {
 public:
  /// Binds `path`. A socket file that nobody listens on any more is replaced; a live one is an
  /// error (EADDRINUSE), and so is any other kind of file.
  static std::optional<Listener> Open(const std::string& path, Error& error);

  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&& other) = delete;
  ~Listener();

  /// For poll.
  int fd() const { return socket_.get(); }

  /// The next connection, non-blocking and close-on-exec; empty when there is none (errno EAGAIN)
  /// or accepting failed (EMFILE and the like).
  UniqueFd Accept();

 private:
  Listener(UniqueFd socket, std::string path)
      : socket_(std::move(socket)), path_(std::move(path)) {}

  UniqueFd socket_;
  std::string path_;
};

/// User id of the process that connected; nothing when the system does not tell.
std::optional<uid_t> PeerUser(int socket);

}  // namespace scanbridge::surface

#endif  // SCANBRIDGE_SURFACE_SOCKET_H_
