// SPDX-License-Identifier: Apache-2.0
// A non-blocking stream socket of AF_VSOCK, or a virtio-serial port, which is read and written the
// same way. No call waits; results are what the kernel says, as negative errno where it fails.
#ifndef SCANBRIDGE_VSOCK_SOCKET_H_
#define SCANBRIDGE_VSOCK_SOCKET_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace scanbridge::vsock {

struct Address {
  uint32_t cid = 0;
  uint32_t port = 0;
};

/// Owns one descriptor.
class Socket {
 public:
  Socket() = default;
  /// Takes a non-blocking stream socket over, of any family.
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.Take()) {}
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { Close(); }

  /// Makes the descriptor. 0 or -errno (-EAFNOSUPPORT: the kernel has no AF_VSOCK).
  int Open();
  /// Opens a character device instead. 0 or -errno (-EBUSY: another process has it).
  int OpenDevice(const char* path);
  /// Begins to connect: -EINPROGRESS until the socket is writable; Error() then says how it went.
  int Connect(Address to);
  /// Binds and listens.
  int Listen(Address at, int backlog);
  /// `peer` is set when 0 is returned; -EAGAIN: nobody waits.
  int Accept(Socket& connection, Address& peer);

  /// Bytes, 0 at the end of the stream, or -errno.
  ssize_t Read(std::span<uint8_t> into);
  /// Bytes that the kernel took, at least one, or -errno. Raises no SIGPIPE.
  ssize_t Write(std::span<const iovec> from);
  /// Ends this side's direction.
  int ShutdownWrite();
  void Close();

  /// The pending error (SO_ERROR) as a positive errno, which is cleared by this; 0: none.
  int Error();
  int Local(Address& address) const;
  int Peer(Address& address) const;

  int fd() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int Take();

  int fd_ = -1;
};

/// The CID of this machine, as its hypervisor gave it. 0 or -errno.
int LocalCid(uint32_t& cid);

}  // namespace scanbridge::vsock

#endif  // SCANBRIDGE_VSOCK_SOCKET_H_
