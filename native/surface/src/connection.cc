// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <scanbridge/surface/connection.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace scanbridge::surface {
namespace {

#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;  // SO_NOSIGPIPE does it.
#endif
#ifdef MSG_CMSG_CLOEXEC
constexpr int kReceiveFlags = MSG_CMSG_CLOEXEC;
constexpr bool kSetCloexec = false;
#else
constexpr int kReceiveFlags = 0;
constexpr bool kSetCloexec = true;
#endif

/// Room for the descriptors that may be held, so that a peer that sends one message too many is
/// told apart from truncation only by the count.
constexpr size_t kControlBytes = CMSG_SPACE(Connection::kMaxHeldFds * sizeof(int));

}  // namespace

Connection::Connection(UniqueFd socket, sb_direction incoming)
    : socket_(std::move(socket)), incoming_(incoming), buffer_(kReceiveBuffer) {
  const int flags = ::fcntl(socket_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK) < 0 ||
      ::fcntl(socket_.get(), F_SETFD, FD_CLOEXEC) < 0) {
    FailReceive(SB_SURFACE_ERROR_NONE, errno, "not a usable socket");
    FailSend(error_.code, error_.system, error_.text);
    return;
  }
#ifdef SO_NOSIGPIPE
  const int on = 1;
  (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

ReceiveStatus Connection::Receive(Message& message) {
  message.bytes = {};
  message.fds.clear();
  for (;;) {
    if (receive_failed_) return ReceiveStatus::kFailed;
    const size_t available = end_ - begin_;
    if (available >= sizeof(sb_header)) {
      sb_header header;
      std::memcpy(&header, buffer_.data() + begin_, sizeof header);
      if (const uint32_t code = sb_check_header(&header, incoming_); code != 0) {
        return FailReceive(static_cast<sb_surface_error>(code), 0,
                           "the peer sent a bad header (type " + std::to_string(header.type) +
                               ", length " + std::to_string(header.length) + ")");
      }
      if (header.fd_count > held_count_) {
        // They came with the first byte of the message, so what is missing now will not come.
        return FailReceive(SB_SURFACE_ERROR_BAD_FDS, 0,
                           "the peer announced " + std::to_string(header.fd_count) +
                               " descriptors and sent " + std::to_string(held_count_));
      }
      if (available >= header.length) return Take(message, header);
      if (header.length > buffer_.size()) buffer_.resize(header.length);
    } else if (available == 0) {
      if (held_count_ > 0) {
        return FailReceive(SB_SURFACE_ERROR_BAD_FDS, 0,
                           "the peer sent descriptors that no message announced");
      }
      if (buffer_.size() > kReceiveBuffer) {
        buffer_.resize(kReceiveBuffer);
        buffer_.shrink_to_fit();
      }
    }
    if (const ReceiveStatus status = Read(); status != ReceiveStatus::kMessage) return status;
  }
}

ReceiveStatus Connection::Take(Message& message, const sb_header& header) {
  const uint8_t* const start = buffer_.data() + begin_;
  if (const uint32_t code = sb_check_message(start, incoming_); code != 0) {
    return FailReceive(static_cast<sb_surface_error>(code), 0,
                       "the peer sent a bad message of type " + std::to_string(header.type));
  }
  for (size_t i = 0; i < header.fd_count; i++) message.fds.push_back(std::move(held_[i]));
  held_count_ -= header.fd_count;
  for (size_t i = 0; i < held_count_; i++) held_[i] = std::move(held_[i + header.fd_count]);
  message.bytes = {start, header.length};
  begin_ += header.length;
  return ReceiveStatus::kMessage;
}

/// One recvmsg. kMessage: bytes came.
ReceiveStatus Connection::Read() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  alignas(cmsghdr) char control[kControlBytes];
  iovec bytes{buffer_.data() + end_, buffer_.size() - end_};
  msghdr received{};
  received.msg_iov = &bytes;
  received.msg_iovlen = 1;
  received.msg_control = control;
  received.msg_controllen = sizeof control;
  ssize_t size;
  do {
    size = ::recvmsg(socket_.get(), &received, kReceiveFlags);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return ReceiveStatus::kWouldBlock;
    if (errno == ECONNRESET) {
      return FailReceive(SB_SURFACE_ERROR_NONE, errno, "the peer reset the connection");
    }
    return FailReceive(SB_SURFACE_ERROR_NONE, errno,
                       std::string("receiving failed: ") + std::strerror(errno));
  }
  if (!TakeControl(received)) return ReceiveStatus::kFailed;
  if (size == 0) {
    if (end_ == 0) return ReceiveStatus::kClosed;
    return FailReceive(SB_SURFACE_ERROR_BAD_LENGTH, 0,
                       "the peer closed the connection in the middle of a message");
  }
  end_ += static_cast<size_t>(size);
  return ReceiveStatus::kMessage;
}

/// Takes over every descriptor that came, whatever else is wrong, so that none leaks.
bool Connection::TakeControl(const msghdr& received) {
  bool too_many = (received.msg_flags & MSG_CTRUNC) != 0;
  // CMSG_NXTHDR wants a pointer to a msghdr that is not const, and does not write to it.
  msghdr* const walk = const_cast<msghdr*>(&received);
  for (cmsghdr* c = CMSG_FIRSTHDR(walk); c != nullptr; c = CMSG_NXTHDR(walk, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int raw;
      std::memcpy(&raw, CMSG_DATA(c) + i * sizeof raw, sizeof raw);
      UniqueFd fd(raw);
      if (kSetCloexec) (void)::fcntl(raw, F_SETFD, FD_CLOEXEC);
      if (held_count_ == held_.size()) {
        too_many = true;
        continue;
      }
      held_[held_count_++] = std::move(fd);
    }
  }
  if (!too_many) return true;
  FailReceive(SB_SURFACE_ERROR_BAD_FDS, 0,
              "the peer sent more descriptors than a message may have");
  return false;
}

SendStatus Connection::Send(std::span<const uint8_t> bytes, FdList fds) {
  if (send_failed_) return SendStatus::kFailed;
  sb_header header{};
  const sb_direction outgoing = incoming_ == SB_FROM_CLIENT ? SB_FROM_SERVER : SB_FROM_CLIENT;
  uint32_t code = SB_SURFACE_ERROR_BAD_LENGTH;
  if (bytes.size() >= sizeof header) {
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.length == bytes.size()) code = sb_check_message(bytes.data(), outgoing);
  }
  if (code == 0 && header.fd_count != fds.size()) code = SB_SURFACE_ERROR_BAD_FDS;
  if (code != 0) {
    return FailSend(static_cast<sb_surface_error>(code), 0,
                    "this side tried to send a bad message of type " + std::to_string(header.type));
  }
  size_t sent = 0;
  if (queue_.empty()) {
    const ptrdiff_t size = Write(bytes, fds);
    if (size < 0) return SendStatus::kFailed;
    sent = static_cast<size_t>(size);
    if (sent == bytes.size()) return SendStatus::kSent;
  } else if (queue_.size() == kMaxQueuedMessages ||
             queued_bytes_ + bytes.size() > kMaxQueuedBytes) {
    return SendStatus::kFull;
  }
  Outgoing& out = queue_.emplace_back();
  out.bytes.assign(bytes.begin(), bytes.end());
  out.sent = sent;
  if (sent == 0) out.fds = std::move(fds);
  queued_bytes_ += bytes.size();
  return SendStatus::kQueued;
}

SendStatus Connection::Flush() {
  if (send_failed_) return SendStatus::kFailed;
  while (!queue_.empty()) {
    Outgoing& out = queue_.front();
    const ptrdiff_t size = Write(std::span(out.bytes).subspan(out.sent), out.fds);
    if (size < 0) return SendStatus::kFailed;
    if (size == 0) return SendStatus::kQueued;
    out.sent += static_cast<size_t>(size);
    // The descriptors left with the first byte.
    out.fds.clear();
    if (out.sent < out.bytes.size()) return SendStatus::kQueued;
    queued_bytes_ -= out.bytes.size();
    queue_.pop_front();
  }
  return SendStatus::kSent;
}

ptrdiff_t Connection::Write(std::span<const uint8_t> bytes, const FdList& fds) {
  iovec data{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(SB_MAX_FDS * sizeof(int))] = {};
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen =
        static_cast<decltype(message.msg_controllen)>(CMSG_SPACE(fds.size() * sizeof(int)));
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = static_cast<decltype(c->cmsg_len)>(CMSG_LEN(fds.size() * sizeof(int)));
    for (size_t i = 0; i < fds.size(); i++) {
      const int raw = fds[i].get();
      std::memcpy(CMSG_DATA(c) + i * sizeof raw, &raw, sizeof raw);
    }
  }
  ssize_t size;
  do {
    size = ::sendmsg(socket_.get(), &message, kSendFlags);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return 0;
    const int system = errno;
    FailSend(SB_SURFACE_ERROR_NONE, system,
             std::string("sending failed: ") + std::strerror(system));
    return -1;
  }
  return size;
}

ReceiveStatus Connection::FailReceive(sb_surface_error code, int system, std::string text) {
  receive_failed_ = true;
  Keep(code, system, std::move(text));
  for (size_t i = 0; i < held_count_; i++) held_[i].reset();
  held_count_ = 0;
  begin_ = end_ = 0;
  return ReceiveStatus::kFailed;
}

SendStatus Connection::FailSend(sb_surface_error code, int system, std::string text) {
  send_failed_ = true;
  Keep(code, system, std::move(text));
  queue_.clear();
  queued_bytes_ = 0;
  return SendStatus::kFailed;
}

void Connection::Keep(sb_surface_error code, int system, std::string text) {
  if (error_.text.empty()) error_ = {code, system, std::move(text)};
}

}  // namespace scanbridge::surface
