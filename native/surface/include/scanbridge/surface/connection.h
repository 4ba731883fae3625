// SPDX-License-Identifier: Apache-2.0
// One end of a surface connection: cuts the byte stream into checked messages and passes
// descriptors.
//
// Duties and invariants (docs/protocols/surface.md, "Transport"):
//  - Nothing is allocated for a message before sb_check_header accepted its header; the receive
//  buffer
//    is kReceiveBuffer bytes and grows, for one message, to at most SB_MAX_MESSAGE.
//  - At most 2 * SB_MAX_FDS received descriptors are held; all are close-on-exec and owned.
//  - The send queue holds at most kMaxQueuedMessages messages and kMaxQueuedBytes bytes. What does
//    not fit is refused (SendStatus::kFull), never dropped silently: the owner of the stream knows
//    what may be merged.
//  - It never blocks. A direction that failed stays failed. The other one still works: a server can
//    tell the peer why it closes, and a client whose write met a closed socket can read that
//    reason.
//
// Not thread-safe: one thread owns a connection. It does not know requests or streams.
#ifndef SCANBRIDGE_SURFACE_CONNECTION_H_
#define SCANBRIDGE_SURFACE_CONNECTION_H_

#include <scanbridge/surface.h>
#include <scanbridge/surface/error.h>
#include <scanbridge/surface/message.h>
#include <scanbridge/surface/unique_fd.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace scanbridge::surface {

enum class ReceiveStatus {
  kMessage,     ///< `message` is filled.
  kWouldBlock,  ///< Poll for POLLIN.
  kClosed,      ///< The peer closed between two messages.
  kFailed,      ///< See Connection::error().
};

enum class SendStatus {
  kSent,    ///< All of it is in the socket.
  kQueued,  ///< Poll for POLLOUT and call Flush.
  kFull,    ///< The queue is full; nothing was taken but the descriptors were closed.
  kFailed,  ///< See Connection::error().
};

class Connection {
 public:
  static constexpr size_t kReceiveBuffer = 16 * 1024;
  static constexpr size_t kMaxQueuedMessages = 256;
  static constexpr size_t kMaxQueuedBytes = 4 * size_t{SB_MAX_MESSAGE};
  static constexpr size_t kMaxHeldFds = 2 * size_t{SB_MAX_FDS};

  /// Takes over a connected stream socket and makes it non-blocking and close-on-exec.
  /// `incoming` is who the peer is: SB_FROM_SERVER in a client.
  Connection(UniqueFd socket, sb_direction incoming);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;

  /// For poll: POLLIN always, POLLOUT while wants_write().
  int fd() const { return socket_.get(); }
  bool wants_write() const { return !queue_.empty(); }

  /// Fills `message` with the next whole message, reading from the socket when needed. Call until
  /// it returns kWouldBlock, or fewer times to be fair to other connections (poll is
  /// level-triggered, but see has_buffered()).
  ReceiveStatus Receive(Message& message);

  /// True when bytes were read that Receive has not returned: call Receive before polling again.
  bool has_buffered() const { return end_ > begin_; }

  /// Sends one message: `bytes` with its tail, `fds` as its header says. A message that violates
  /// the protocol is a defect of the caller and fails with the code that the peer would have
  /// answered.
  SendStatus Send(std::span<const uint8_t> bytes, FdList fds = {});

  /// Sends a message without a tail.
  template <typename T>
  requires requires(T t) { sb_header{t.header}; }
  SendStatus Send(const T& message, FdList fds = {}) {
    return Send(std::span(reinterpret_cast<const uint8_t*>(&message), sizeof message),
                std::move(fds));
  }

  /// Sends what is queued: kSent when nothing is left.
  SendStatus Flush();

  /// The first failure; valid after kFailed.
  const Error& error() const { return error_; }

 private:
  struct Outgoing {
    std::vector<uint8_t> bytes;
    size_t sent = 0;
    FdList fds;
  };

  ReceiveStatus Read();
  ReceiveStatus Take(Message& message, const sb_header& header);
  bool TakeControl(const msghdr& received);
  /// Bytes sent, 0 when the socket is full, -1 after a failure.
  ptrdiff_t Write(std::span<const uint8_t> bytes, const FdList& fds);
  ReceiveStatus FailReceive(sb_surface_error code, int system, std::string text);
  SendStatus FailSend(sb_surface_error code, int system, std::string text);
  void Keep(sb_surface_error code, int system, std::string text);

  UniqueFd socket_;
  const sb_direction incoming_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  std::array<UniqueFd, kMaxHeldFds> held_;
  size_t held_count_ = 0;
  std::deque<Outgoing> queue_;
  size_t queued_bytes_ = 0;
  bool receive_failed_ = false;
  bool send_failed_ = false;
  Error error_;
};

}  // namespace scanbridge::surface

#endif  // SCANBRIDGE_SURFACE_CONNECTION_H_
