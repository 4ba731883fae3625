// SPDX-License-Identifier: Apache-2.0
#include "surface/surface_client.h"

#include <scanbridge/surface/socket.h>

#include <cstring>

#include "core/clock.h"

namespace scanbridge::host {
namespace {

using surface::Make;
using surface::Message;
using surface::ReceiveStatus;
using surface::SendStatus;

constexpr uint64_t kCapabilities = SB_CAPABILITY_MEMFD | SB_CAPABILITY_DMABUF |
                                   SB_CAPABILITY_SCANOUT_INFO | SB_CAPABILITY_RESOURCES |
                                   SB_CAPABILITY_CAPTURES | SB_CAPABILITY_REFRESH;

std::string CodeOf(uint32_t code) {
  return std::string("SURFACE_") + surface::ErrorName(code);
}

EngineError Violation(uint32_t code, std::string what) {
  return {CodeOf(code), "The producer of surfaces broke the protocol: " + std::move(what) + ".",
          "Check that producer and client are of the same release; look at the producer's log."};
}

std::string RemedyFor(uint32_t code) {
  switch (code) {
    case SB_SURFACE_ERROR_BAD_VERSION:
      return "Use a producer and a client of the same release.";
    case SB_SURFACE_ERROR_NO_SUCH_SCANOUT:
      return "Use an index below the number of scanouts that the producer announces.";
    case SB_SURFACE_ERROR_NO_SUCH_CAPTURE:
      return "List the captures of the agent, and use one of their ids.";
    case SB_SURFACE_ERROR_NO_SUCH_RESOURCE:
    case SB_SURFACE_ERROR_RESOURCE_MISMATCH:
      return "Ask the guest's agent for the present resource of this desktop.";
    case SB_SURFACE_ERROR_DENIED:
      return "Run both sides as the same user.";
    default:
      return "Look at the producer's log, and start the stream again.";
  }
}

/// What the producer itself reported.
EngineError Reported(uint32_t code, std::string_view text) {
  std::string message(text);
  if (message.empty()) message = std::string("The producer reported ") + surface::ErrorName(code);
  return {CodeOf(code), std::move(message), RemedyFor(code)};
}

bool Within(const sb_rect& rect, uint32_t width, uint32_t height) {
  return rect.x <= width && rect.width <= width - rect.x && rect.y <= height &&
         rect.height <= height - rect.y;
}

}  // namespace

std::variant<std::unique_ptr<SurfaceClient>, EngineError> SurfaceClient::Connect(
    const std::string& path, std::string_view name, SurfaceMemory::Unmappable unmappable) {
  surface::Error error;
  UniqueFd socket = surface::Connect(path, error);
  if (!socket) {
    return EngineError{"SURFACE_CONNECT", "No producer of surfaces: " + error.text + ".",
                       "Start the producer (QEMU with frame-export, or the agent) first."};
  }
  std::unique_ptr<SurfaceClient> client(new SurfaceClient(std::move(socket), unmappable));
  auto hello = Make<sb_hello>(SB_MSG_HELLO);
  hello.magic = SB_SURFACE_MAGIC;
  hello.version_major = SB_SURFACE_VERSION_MAJOR;
  hello.version_minor = SB_SURFACE_VERSION_MINOR;
  hello.capabilities = kCapabilities;
  surface::SetText(hello.name, name);
  client->Note(client->connection_.Send(hello));
  return client;
}

std::optional<EngineError> SurfaceClient::Dispatch(SurfaceObserver& observer) {
  Note(connection_.Flush());
  Message message;
  for (int i = 0; i < kMaxMessages; i++) {
    switch (connection_.Receive(message)) {
      case ReceiveStatus::kMessage:
        if (auto error = Handle(message, observer)) return error;
        break;
      case ReceiveStatus::kWouldBlock:
        // What the producer said before it closed is read first, so this is the last resort.
        if (send_failed_) return ConnectionError();
        return std::nullopt;
      case ReceiveStatus::kClosed:
        return EngineError{"SURFACE_CLOSED", "The producer of surfaces closed the connection.",
                           "It ended or was stopped; start it again and connect anew."};
      case ReceiveStatus::kFailed:
        return ConnectionError();
    }
  }
  return std::nullopt;
}

EngineError SurfaceClient::ConnectionError() const {
  const surface::Error& error = connection_.error();
  if (error.code != SB_SURFACE_ERROR_NONE) return Violation(error.code, error.text);
  return {"SURFACE_IO",
          "The connection to the producer of surfaces failed: " +
              (error.text.empty() ? "it does not read" : error.text) + ".",
          "It ended or was stopped; start it again and connect anew."};
}

void SurfaceClient::Note(SendStatus status) {
  // Full: the producer has not read 256 messages. It hangs, and the connection is of no more use.
  if (status == SendStatus::kFailed || status == SendStatus::kFull) send_failed_ = true;
}

std::optional<EngineError> SurfaceClient::Handle(Message& message, SurfaceObserver& observer) {
  const sb_header header = message.header();
  if (header.type == SB_MSG_ERROR) {
    const auto error = message.As<sb_error>();
    if (error.fatal != 0 || header.serial == 0) {
      return Reported(error.code, surface::Text(error.text));
    }
  }
  if (header.type == SB_MSG_HELLO_REPLY) return HandleHello(message, observer);
  if (!greeted_) return Violation(SB_SURFACE_ERROR_BAD_STATE, "it spoke before its hello");
  switch (header.type) {
    case SB_MSG_OK:
    case SB_MSG_ERROR:
    case SB_MSG_PONG:
      return HandleAnswer(message, observer);
    case SB_MSG_SCANOUT_INFO:
      observer.OnScanoutInfo(message.As<sb_scanout_info>());
      return std::nullopt;
    default:
      return HandleStream(message, observer);
  }
}

std::optional<EngineError> SurfaceClient::HandleHello(const Message& message,
                                                      SurfaceObserver& observer) {
  const auto hello = message.As<sb_hello_reply>();
  if (greeted_) return Violation(SB_SURFACE_ERROR_BAD_STATE, "it sent a second hello");
  if (hello.magic != SB_SURFACE_MAGIC) {
    return Violation(SB_SURFACE_ERROR_BAD_MAGIC, "its hello has another magic number");
  }
  if (hello.version_major != SB_SURFACE_VERSION_MAJOR) {
    return Violation(SB_SURFACE_ERROR_BAD_VERSION,
                     "it speaks version " + std::to_string(hello.version_major));
  }
  greeted_ = true;
  observer.OnHello(hello);
  return std::nullopt;
}

std::optional<EngineError> SurfaceClient::HandleAnswer(const Message& message,
                                                       SurfaceObserver& observer) {
  const sb_header header = message.header();
  if (pending_.empty() || pending_.front().serial != header.serial ||
      (header.type == SB_MSG_PONG && pending_.front().request != SB_MSG_PING)) {
    return Violation(SB_SURFACE_ERROR_BAD_STATE, "it answered what was not asked");
  }
  SurfaceAnswer answer = std::move(pending_.front());
  pending_.pop_front();
  if (header.type == SB_MSG_ERROR) {
    const auto error = message.As<sb_error>();
    answer.error = Reported(error.code, surface::Text(error.text));
  }
  const auto stream = streams_.find(answer.stream);
  if (stream != streams_.end()) {
    if (answer.request == SB_MSG_UNSUBSCRIBE || answer.error) {
      streams_.erase(stream);
    } else {
      stream->second.open = true;
    }
  }
  observer.OnAnswer(answer);
  return std::nullopt;
}

std::optional<EngineError> SurfaceClient::HandleStream(Message& message,
                                                       SurfaceObserver& observer) {
  const sb_header header = message.header();
  const auto found = streams_.find(header.stream);
  if (found == streams_.end() || !found->second.open) {
    return Violation(SB_SURFACE_ERROR_BAD_STREAM, "it sent a message about an unknown stream");
  }
  Stream& stream = found->second;
  if (stream.closing) {
    if (header.type == SB_MSG_STREAM_END) stream.open = false;
    return std::nullopt;
  }
  switch (header.type) {
    case SB_MSG_SURFACE:
      return HandleSurface(stream, message, observer);
    case SB_MSG_SURFACE_GONE: {
      const auto gone = message.As<sb_surface_gone>();
      if (stream.surfaces.erase(gone.surface) == 0) {
        return Violation(SB_SURFACE_ERROR_BAD_VALUE, "it took back a surface that is not there");
      }
      observer.OnSurfaceGone(header.stream, gone.surface);
      return std::nullopt;
    }
    case SB_MSG_FRAME:
      return HandleFrame(stream, message, observer);
    case SB_MSG_CURSOR:
      observer.OnCursor(header.stream, message.As<sb_cursor>(), message.Tail<sb_cursor>());
      return std::nullopt;
    case SB_MSG_RESET:
      stream.surfaces.clear();
      stream.outstanding.reset();
      observer.OnReset(header.stream, static_cast<sb_reset_reason>(message.As<sb_reset>().reason));
      return std::nullopt;
    case SB_MSG_STATE:
      observer.OnState(header.stream, static_cast<sb_stream_state>(message.As<sb_state>().state));
      return std::nullopt;
    case SB_MSG_STREAM_END: {
      const auto end = message.As<sb_stream_end>();
      streams_.erase(found);
      std::optional<EngineError> error;
      if (end.code != SB_SURFACE_ERROR_NONE) error = Reported(end.code, surface::Text(end.text));
      observer.OnStreamEnd(header.stream, error);
      return std::nullopt;
    }
    default:
      return Violation(SB_SURFACE_ERROR_BAD_TYPE, "unexpected message");
  }
}

std::optional<EngineError> SurfaceClient::HandleSurface(Stream& stream, Message& message,
                                                        SurfaceObserver& observer) {
  const auto description = message.As<sb_surface>();
  if (stream.surfaces.size() >= SB_MAX_SURFACES) {
    return Violation(SB_SURFACE_ERROR_TOO_MANY, "it sent more than 64 surfaces");
  }
  if (stream.surfaces.contains(description.surface)) {
    return Violation(SB_SURFACE_ERROR_BAD_VALUE, "it used the id of a surface twice");
  }
  auto mapped = SurfaceMemory::Map(description, message.fds, unmappable_);
  if (auto* const error = std::get_if<EngineError>(&mapped)) return std::move(*error);
  stream.surfaces.emplace(description.surface,
                          std::get<std::shared_ptr<SurfaceMemory>>(std::move(mapped)));
  observer.OnSurface(description);
  return std::nullopt;
}

std::optional<EngineError> SurfaceClient::HandleFrame(Stream& stream, const Message& message,
                                                      SurfaceObserver& observer) {
  const auto fixed = message.As<sb_frame>();
  const auto surface = stream.surfaces.find(fixed.surface);
  if (surface == stream.surfaces.end()) {
    return Violation(SB_SURFACE_ERROR_BAD_VALUE, "a frame names a surface that is not there");
  }
  if (stream.outstanding) {
    return Violation(SB_SURFACE_ERROR_BAD_STATE, "it sent a frame before the last was released");
  }
  if (fixed.sequence <= stream.last_sequence) {
    return Violation(SB_SURFACE_ERROR_BAD_VALUE, "the sequence of its frames does not grow");
  }
  if (fixed.pts < stream.last_pts) {
    return Violation(SB_SURFACE_ERROR_BAD_VALUE, "the time of its frames goes backwards");
  }
  SurfaceFrame& frame = stream.outstanding.emplace();
  frame.stream = fixed.header.stream;
  frame.surface = fixed.surface;
  frame.sequence = stream.last_sequence = fixed.sequence;
  frame.pts = stream.last_pts = fixed.pts;
  frame.received_at = MonotonicNow();
  frame.discontinuity = (fixed.flags & SB_FRAME_FLAG_DISCONTINUITY) != 0;
  frame.crop = fixed.crop;
  frame.refresh = fixed.refresh;
  frame.damage_count = fixed.damage_count;
  std::memcpy(frame.damage.data(), message.Tail<sb_frame>().data(),
              fixed.damage_count * sizeof(sb_rect));
  frame.memory = surface->second;
  const uint32_t width = frame.memory->width();
  const uint32_t height = frame.memory->height();
  bool inside = Within(frame.crop, width, height);
  for (uint32_t i = 0; i < frame.damage_count; i++) {
    inside = inside && Within(frame.damage[i], width, height);
  }
  if (!inside) {
    return Violation(SB_SURFACE_ERROR_BAD_VALUE, "a frame's crop or damage exceeds its surface");
  }
  observer.OnFrame(frame);
  return std::nullopt;
}

const SurfaceFrame* SurfaceClient::Outstanding(uint32_t stream, uint64_t sequence) const {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || !found->second.outstanding) return nullptr;
  const SurfaceFrame& frame = *found->second.outstanding;
  return frame.sequence == sequence ? &frame : nullptr;
}

void SurfaceClient::Release(uint32_t stream, uint64_t sequence) {
  if (Outstanding(stream, sequence) == nullptr) return;
  Stream& found = streams_.at(stream);
  found.outstanding.reset();
  if (found.closing) return;
  auto release = Make<sb_release>(SB_MSG_RELEASE, stream);
  release.sequence = sequence;
  Note(connection_.Send(release));
}

uint32_t SurfaceClient::NextSerial() {
  // Serial 0 marks events.
  const uint32_t serial = next_serial_++;
  if (next_serial_ == 0) next_serial_ = 1;
  return serial;
}

template <typename T>
std::optional<SurfaceClient::Request> SurfaceClient::Ask(sb_msg_type type, T message,
                                                         uint32_t stream) {
  if (pending_.size() == kMaxPending) return std::nullopt;
  const uint32_t serial = NextSerial();
  message.header = Make<T>(type, stream, serial).header;
  pending_.push_back({serial, type, stream, std::nullopt});
  Note(connection_.Send(message));
  return Request{serial, stream};
}

template <typename T>
std::optional<SurfaceClient::Request> SurfaceClient::Subscribe(sb_msg_type type, T message,
                                                               bool cursor) {
  if (streams_.size() == SB_MAX_STREAMS) return std::nullopt;
  while (next_stream_ == 0 || streams_.contains(next_stream_)) next_stream_++;
  message.flags = cursor ? SB_SUBSCRIBE_FLAG_CURSOR : 0;
  const auto request = Ask(type, message, next_stream_);
  if (request) streams_.emplace(next_stream_++, Stream{});
  return request;
}

std::optional<SurfaceClient::Request> SurfaceClient::SubscribeScanout(uint32_t scanout,
                                                                      bool cursor) {
  sb_subscribe_scanout message{};
  message.scanout = scanout;
  return Subscribe(SB_MSG_SUBSCRIBE_SCANOUT, message, cursor);
}

std::optional<SurfaceClient::Request> SurfaceClient::SubscribeResource(
    sb_subscribe_resource resource, bool cursor) {
  return Subscribe(SB_MSG_SUBSCRIBE_RESOURCE, resource, cursor);
}

std::optional<SurfaceClient::Request> SurfaceClient::SubscribeCapture(uint32_t capture,
                                                                      bool cursor) {
  sb_subscribe_capture message{};
  message.capture = capture;
  return Subscribe(SB_MSG_SUBSCRIBE_CAPTURE, message, cursor);
}

std::optional<SurfaceClient::Request> SurfaceClient::Unsubscribe(uint32_t stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.closing) return std::nullopt;
  const auto request = Ask(SB_MSG_UNSUBSCRIBE, sb_unsubscribe{}, stream);
  if (request) {
    found->second.closing = true;
    found->second.outstanding.reset();
    found->second.surfaces.clear();
  }
  return request;
}

bool SurfaceClient::IsOpen(uint32_t stream) const {
  const auto found = streams_.find(stream);
  return found != streams_.end() && found->second.open && !found->second.closing;
}

uint32_t SurfaceClient::Refresh(uint32_t stream, uint32_t flags,
                                const std::optional<sb_rect>& damage) {
  struct {
    sb_refresh fixed;
    sb_rect damage;
  } message{Make<sb_refresh>(SB_MSG_REFRESH, stream, NextSerial()), damage.value_or(sb_rect{})};
  static_assert(sizeof message == sizeof message.fixed + sizeof message.damage);
  message.fixed.flags = flags;
  if (damage) {
    message.fixed.damage_count = 1;
    message.fixed.header.length += sizeof(sb_rect);
  }
  Note(connection_.Send(
      std::span(reinterpret_cast<const uint8_t*>(&message), message.fixed.header.length)));
  return message.fixed.header.serial;
}

std::optional<SurfaceClient::Request> SurfaceClient::ConfigureScanout(
    sb_configure_scanout configuration) {
  return Ask(SB_MSG_CONFIGURE_SCANOUT, configuration, 0);
}

std::optional<SurfaceClient::Request> SurfaceClient::Ping() {
  return Ask(SB_MSG_PING, sb_ping{}, 0);
}

}  // namespace scanbridge::host
