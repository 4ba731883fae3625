// SPDX-License-Identifier: Apache-2.0
#include "server/client.h"

#include <scanbridge/surface/message.h>

#include <algorithm>
#include <utility>

#include "server/source.h"
#include "server/surface_server.h"

namespace scanbridge::guest {

using surface::Make;
using surface::ReceiveStatus;
using surface::SendStatus;

Client::Client(SurfaceServer& server, Loop& loop, UniqueFd socket)
    : server_(server),
      connection_(std::move(socket), SB_FROM_CLIENT),
      watch_(loop, connection_.fd(), SPA_IO_IN, [this](uint32_t events) { OnReady(events); }) {}

Client::~Client() = default;

bool Client::SendBytes(std::span<const uint8_t> bytes, surface::FdList fds) {
  if (closing_) return false;
  switch (connection_.Send(bytes, std::move(fds))) {
    case SendStatus::kSent:
      return true;
    case SendStatus::kQueued:
      UpdateWatch();
      return true;
    case SendStatus::kFull:
    case SendStatus::kFailed:
      Close();
      return false;
  }
  return false;
}

void Client::RemoveStream(uint32_t id) {
  ended_streams_.push_back(id);
  if (ended_streams_.size() > kRememberedStreams) ended_streams_.pop_front();
  streams_.erase(id);
}

void Client::Refuse(sb_surface_error code, std::string_view text) {
  auto message = Make<sb_error>(SB_MSG_ERROR);
  message.code = code;
  message.fatal = 1;
  surface::SetText(message.text, text);
  Send(message);
  Close();
}

void Client::OnReady(uint32_t events) {
  if (closing_) return;
  if ((events & SPA_IO_OUT) != 0) {
    if (connection_.Flush() == SendStatus::kFailed) return Close();
    if (!connection_.wants_write()) {
      UpdateWatch();
      // A stream may end while it sends.
      for (auto it = streams_.begin(); it != streams_.end() && !closing_;) {
        Stream& stream = *it++->second;
        stream.OnWritable();
      }
    }
  }
  // Requests wait while answers do, which bounds the queue; a hang-up shows in Receive.
  if (!connection_.wants_write() || (events & (SPA_IO_HUP | SPA_IO_ERR)) != 0) Receive();
}

void Client::Receive() {
  for (int i = 0; i < kBatch && !closing_; i++) {
    surface::Message message;
    switch (connection_.Receive(message)) {
      case ReceiveStatus::kMessage:
        Handle(message);
        break;
      case ReceiveStatus::kWouldBlock:
        return;
      case ReceiveStatus::kClosed:
        return Close();
      case ReceiveStatus::kFailed:
        if (connection_.error().code == SB_SURFACE_ERROR_NONE) return Close();
        server_.NoteViolation();
        return Refuse(connection_.error().code, connection_.error().text);
    }
  }
  if (!closing_ && connection_.has_buffered()) server_.Resume(*this, [this] { Receive(); });
}

void Client::Handle(const surface::Message& message) {
  const sb_header header = message.header();
  if (greeted_ == (header.type == SB_MSG_HELLO)) {
    server_.NoteViolation();
    return Refuse(SB_SURFACE_ERROR_BAD_STATE,
                  greeted_ ? "A second HELLO." : "The first message has to be HELLO.");
  }
  switch (header.type) {
    case SB_MSG_HELLO:
      return HandleHello(message.As<sb_hello>());
    case SB_MSG_SUBSCRIBE_CAPTURE:
      return HandleSubscribe(message.As<sb_subscribe_capture>());
    case SB_MSG_SUBSCRIBE_SCANOUT:
    case SB_MSG_CONFIGURE_SCANOUT:
      return SendError(header, SB_SURFACE_ERROR_NO_SUCH_SCANOUT,
                       "This server has captures only; use SUBSCRIBE_CAPTURE.");
    case SB_MSG_SUBSCRIBE_RESOURCE:
      return SendError(header, SB_SURFACE_ERROR_NO_SUCH_RESOURCE,
                       "This server has captures only; use SUBSCRIBE_CAPTURE.");
    case SB_MSG_UNSUBSCRIBE:
      return HandleUnsubscribe(header);
    case SB_MSG_RELEASE:
      return HandleRelease(message.As<sb_release>());
    case SB_MSG_PING: {
      auto answer = Make<sb_pong>(SB_MSG_PONG, 0, header.serial);
      answer.token = message.As<sb_ping>().token;
      Send(answer);
      return;
    }
    default:
      // Connection lets nothing else through; if the schema grows, the peer is told.
      return Refuse(SB_SURFACE_ERROR_BAD_TYPE, "This server does not know the message.");
  }
}

void Client::HandleHello(const sb_hello& hello) {
  if (hello.magic != SB_SURFACE_MAGIC) {
    server_.NoteViolation();
    return Refuse(SB_SURFACE_ERROR_BAD_MAGIC, "This is not the surface protocol.");
  }
  if (hello.version_major != SB_SURFACE_VERSION_MAJOR) {
    server_.NoteViolation();
    return Refuse(SB_SURFACE_ERROR_BAD_VERSION,
                  "This server speaks version 1 of the surface protocol; update the older side.");
  }
  greeted_ = true;
  capabilities_ = hello.capabilities & SurfaceServer::kCapabilities;
  auto reply = Make<sb_hello_reply>(SB_MSG_HELLO_REPLY, 0, hello.header.serial);
  reply.magic = SB_SURFACE_MAGIC;
  reply.version_major = SB_SURFACE_VERSION_MAJOR;
  reply.version_minor =
      std::min<uint16_t>(hello.version_minor, static_cast<uint16_t>(SB_SURFACE_VERSION_MINOR));
  reply.capabilities = SurfaceServer::kCapabilities;
  reply.max_streams = SB_MAX_STREAMS;
  surface::SetText(reply.name, server_.name());
  Send(reply);
}

void Client::HandleSubscribe(const sb_subscribe_capture& request) {
  const uint32_t id = request.header.stream;
  if (streams_.contains(id)) {
    return SendError(request.header, SB_SURFACE_ERROR_BAD_STREAM, "This stream id is in use.");
  }
  if (streams_.size() >= SB_MAX_STREAMS) {
    return SendError(request.header, SB_SURFACE_ERROR_TOO_MANY,
                     "The connection has 32 streams already; end one or open another connection.");
  }
  Source* source = server_.FindSource(request.capture);
  if (source == nullptr) {
    return SendError(request.header, SB_SURFACE_ERROR_NO_SUCH_CAPTURE,
                     "No capture has this id, or it has ended.");
  }
  std::erase(ended_streams_, id);
  auto stream = std::make_unique<Stream>(*this, *source, id, request.flags);
  Stream& opened = *streams_.emplace(id, std::move(stream)).first->second;
  if (!Send(Make<sb_ok>(SB_MSG_OK, id, request.header.serial))) return;
  opened.Begin();
}

void Client::HandleUnsubscribe(const sb_header& header) {
  if (!streams_.contains(header.stream)) {
    return SendError(header, SB_SURFACE_ERROR_BAD_STREAM, "No stream has this id.");
  }
  RemoveStream(header.stream);
  Send(Make<sb_ok>(SB_MSG_OK, header.stream, header.serial));
}

void Client::HandleRelease(const sb_release& release) {
  const auto found = streams_.find(release.header.stream);
  if (found == streams_.end()) {
    // It may have crossed a STREAM_END.
    if (std::ranges::find(ended_streams_, release.header.stream) != ended_streams_.end()) return;
    server_.NoteViolation();
    return Refuse(SB_SURFACE_ERROR_BAD_RELEASE, "RELEASE on a stream that never was.");
  }
  if (found->second->Release(release.sequence) == Stream::ReleaseResult::kNeverSent) {
    server_.NoteViolation();
    Refuse(SB_SURFACE_ERROR_BAD_RELEASE, "RELEASE of a frame that was never sent.");
  }
}

void Client::SendError(const sb_header& request, sb_surface_error code, std::string_view text) {
  auto message = Make<sb_error>(SB_MSG_ERROR, request.stream, request.serial);
  message.code = code;
  surface::SetText(message.text, text);
  Send(message);
}

void Client::UpdateWatch() {
  // While answers wait, no further requests are read.
  watch_.Update(connection_.wants_write() ? SPA_IO_OUT : SPA_IO_IN);
}

void Client::Close() {
  if (std::exchange(closing_, true)) return;
  watch_.Update(0);
  server_.Remove(*this);
}

}  // namespace scanbridge::guest
