// SPDX-License-Identifier: Apache-2.0
#include "socket.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
// Needs sys/socket.h before it.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <utility>

namespace scanbridge::vsock {
namespace {

sockaddr_vm ToKernel(Address address) {
  sockaddr_vm out{};
  out.svm_family = AF_VSOCK;
  out.svm_cid = address.cid;
  out.svm_port = address.port;
  return out;
}

int FromKernel(const sockaddr_vm& in, socklen_t size, Address& address) {
  if (size < sizeof in || in.svm_family != AF_VSOCK) return -EAFNOSUPPORT;
  address = {in.svm_cid, in.svm_port};
  return 0;
}

template <typename Call>
auto Retry(Call call) -> decltype(call()) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.Take();
  }
  return *this;
}

int Socket::Take() {
  return std::exchange(fd_, -1);
}

int Socket::Open() {
  Close();
  const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  fd_ = fd;
  return 0;
}

int Socket::OpenDevice(const char* path) {
  Close();
  Socket device(::open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!device.open()) return -errno;
  struct stat status {};
  if (fstat(device.fd_, &status) < 0) return -errno;
  // A file would never make anybody wait, and a terminal has signals and line editing.
  if (!S_ISCHR(status.st_mode) || isatty(device.fd_) != 0) return -ENOTTY;
  *this = std::move(device);
  return 0;
}

int Socket::Connect(Address to) {
  const sockaddr_vm address = ToKernel(to);
  // A connect that a signal interrupted goes on, as if it had been in progress.
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return 0;
  return errno == EINTR ? -EINPROGRESS : -errno;
}

int Socket::Listen(Address at, int backlog) {
  const sockaddr_vm address = ToKernel(at);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      listen(fd_, backlog) < 0) {
    return -errno;
  }
  return 0;
}

int Socket::Accept(Socket& connection, Address& peer) {
  sockaddr_vm address{};
  socklen_t size = sizeof address;
  const int fd = Retry([&] {
    size = sizeof address;
    return accept4(fd_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  });
  if (fd < 0) return fd;
  connection = Socket(fd);
  return FromKernel(address, size, peer);
}

ssize_t Socket::Read(std::span<uint8_t> into) {
  return Retry([&] { return read(fd_, into.data(), into.size()); });
}

ssize_t Socket::Write(std::span<const iovec> from) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(from.data());
  message.msg_iovlen = from.size();
  const ssize_t result = Retry([&] { return sendmsg(fd_, &message, MSG_NOSIGNAL); });
  if (result != -ENOTSOCK) return result;
  return Retry([&] { return writev(fd_, from.data(), static_cast<int>(from.size())); });
}

int Socket::ShutdownWrite() {
  return shutdown(fd_, SHUT_WR) < 0 ? -errno : 0;
}

void Socket::Close() {
  // Not repeated after EINTR: Linux has freed the descriptor by then.
  if (open()) close(Take());
}

int Socket::Error() {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

int Socket::Local(Address& address) const {
  sockaddr_vm out{};
  socklen_t size = sizeof out;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&out), &size) < 0) return -errno;
  return FromKernel(out, size, address);
}

int Socket::Peer(Address& address) const {
  sockaddr_vm out{};
  socklen_t size = sizeof out;
  if (getpeername(fd_, reinterpret_cast<sockaddr*>(&out), &size) < 0) return -errno;
  return FromKernel(out, size, address);
}

int LocalCid(uint32_t& cid) {
  const int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  unsigned int value = 0;
  const int result = ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &value) < 0 ? -errno : 0;
  close(fd);
  if (result == 0) cid = value;
  return result;
}

}  // namespace scanbridge::vsock
