// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <scanbridge/surface/socket.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace scanbridge::surface {
namespace {

/// Backlog of a listener: clients are engine workers and bridges of one machine.
constexpr int kBacklog = 16;

Error SystemError(const std::string& what, const std::string& path, int system) {
  return {SB_SURFACE_ERROR_NONE, system, what + " " + path + ": " + std::strerror(system)};
}

bool Fill(const std::string& path, sockaddr_un& address, Error& error) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path ||
      path.find('\0') != std::string::npos) {
    error = {SB_SURFACE_ERROR_NONE, ENAMETOOLONG,
             "the socket path must have 1 to " + std::to_string(sizeof address.sun_path - 1) +
                 " bytes: " + path};
    return false;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return true;
}

/// A close-on-exec, non-blocking stream socket, on systems without SOCK_CLOEXEC as well.
UniqueFd NewSocket() {
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
#else
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (fd &&
      (::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) < 0 || ::fcntl(fd.get(), F_SETFL, O_NONBLOCK) < 0)) {
    fd.reset();
  }
  return fd;
#endif
}

bool IsSocketFile(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

}  // namespace

UniqueFd Connect(const std::string& path, Error& error) {
  sockaddr_un address;
  if (!Fill(path, address, error)) return {};
  UniqueFd fd = NewSocket();
  if (!fd) {
    error = SystemError("no socket for", path, errno);
    return {};
  }
  int done;
  do {
    done = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (done < 0 && errno == EINTR);
  if (done < 0) {
    error = SystemError("cannot connect to", path, errno);
    return {};
  }
  return fd;
}

std::optional<Listener> Listener::Open(const std::string& path, Error& error) {
  sockaddr_un address;
  if (!Fill(path, address, error)) return std::nullopt;
  UniqueFd fd = NewSocket();
  if (!fd) {
    error = SystemError("no socket for", path, errno);
    return std::nullopt;
  }
  if (IsSocketFile(path)) {
    Error ignored;
    if (!Connect(path, ignored) && ignored.system == ECONNREFUSED) (void)::unlink(path.c_str());
  }
#ifdef __linux__
  // On Linux the file takes the socket's mode, so it is never open to others, not even for a
  // moment.
  (void)::fchmod(fd.get(), 0600);
#endif
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    error = SystemError("cannot listen at", path, errno);
    return std::nullopt;
  }
  Listener listener(std::move(fd), path);
  if (::chmod(path.c_str(), 0600) < 0 || ::listen(listener.fd(), kBacklog) < 0) {
    error = SystemError("cannot listen at", path, errno);
    return std::nullopt;
  }
  return listener;
}

Listener::~Listener() {
  // A listener that was moved from has no socket and leaves the path alone.
  if (socket_) (void)::unlink(path_.c_str());
}

UniqueFd Listener::Accept() {
  int raw;
  do {
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
    raw = ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
    raw = ::accept(socket_.get(), nullptr, nullptr);
#endif
  } while (raw < 0 && (errno == EINTR || errno == ECONNABORTED));
  // Connection sets the flags again, for systems without accept4.
  return UniqueFd(raw);
}

std::optional<uid_t> PeerUser(int socket) {
#ifdef SO_PEERCRED
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return std::nullopt;
  return credentials.uid;
#else
  uid_t user;
  gid_t group;
  if (::getpeereid(socket, &user, &group) < 0) return std::nullopt;
  return user;
#endif
}

}  // namespace scanbridge::surface
