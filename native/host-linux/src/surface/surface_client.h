// SPDX-License-Identifier: Apache-2.0
// Client side of the surface protocol: requests, streams, surfaces, and the check of all that a
// producer says.
//
// The producer is not trusted. Beyond sb_check_message this client checks what needs memory of the
// past: that an answer fits a request, that a frame names a living surface, lies within it, has a
// growing sequence, and that no second frame comes before the first was released. Any violation
// ends the connection with an error. Not thread-safe, never blocks: the owner polls fd() and calls
// Dispatch.
#ifndef SCANBRIDGE_HOST_SURFACE_SURFACE_CLIENT_H_
#define SCANBRIDGE_HOST_SURFACE_SURFACE_CLIENT_H_

#include <scanbridge/surface/connection.h>

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "core/engine_error.h"
#include "surface/surface_memory.h"

namespace scanbridge::host {

/// A picture that is not released.
struct SurfaceFrame {
  uint32_t stream = 0;
  uint32_t surface = 0;
  uint64_t sequence = 0;
  /// When the picture was made [ns].
  uint64_t pts = 0;
  /// When its message was received, MonotonicNow().
  uint64_t received_at = 0;
  bool discontinuity = false;
  /// Within the surface.
  sb_rect crop{};
  /// Serial of the newest Refresh that the picture is not older than; 0: of none.
  uint32_t refresh = 0;
  /// Within the surface; damage_count 0: all of the crop.
  std::array<sb_rect, SB_MAX_DAMAGE> damage{};
  uint32_t damage_count = 0;
  /// Stays readable until it is dropped, whatever the producer does.
  std::shared_ptr<SurfaceMemory> memory;
};

/// A request that was answered.
struct SurfaceAnswer {
  uint32_t serial = 0;
  sb_msg_type request{};
  uint32_t stream = 0;
  std::optional<EngineError> error;
};

/// Receives what arrives, during Dispatch.
class SurfaceObserver {
 public:
  virtual ~SurfaceObserver() = default;
  virtual void OnHello(const sb_hello_reply& hello) = 0;
  virtual void OnAnswer(const SurfaceAnswer& answer) = 0;
  virtual void OnScanoutInfo(const sb_scanout_info&) {}
  virtual void OnSurface(const sb_surface&) {}
  virtual void OnSurfaceGone(uint32_t /*stream*/, uint32_t /*surface*/) {}
  virtual void OnFrame(const SurfaceFrame& frame) = 0;
  virtual void OnCursor(uint32_t stream, const sb_cursor& cursor,
                        std::span<const uint8_t> pixels) = 0;
  virtual void OnReset(uint32_t stream, sb_reset_reason reason) = 0;
  virtual void OnState(uint32_t stream, sb_stream_state state) = 0;
  /// The stream is over; no error: in order.
  virtual void OnStreamEnd(uint32_t stream, const std::optional<EngineError>& error) = 0;
};

class SurfaceClient {
 public:
  /// Requests that may wait for their answer; more are refused.
  static constexpr size_t kMaxPending = 64;
  /// Messages handled by one Dispatch, so that a flood does not keep the thread from its other
  /// work.
  static constexpr int kMaxMessages = 64;

  /// Connects and sends the hello.
  static std::variant<std::unique_ptr<SurfaceClient>, EngineError> Connect(
      const std::string& path, std::string_view name,
      SurfaceMemory::Unmappable unmappable = SurfaceMemory::Unmappable::kRefuse);

  int fd() const { return connection_.fd(); }
  bool wants_write() const { return connection_.wants_write(); }
  /// Messages are waiting that poll does not see.
  bool has_buffered() const { return connection_.has_buffered(); }

  /// Handles what has arrived and sends what is queued. An error: the connection is over.
  std::optional<EngineError> Dispatch(SurfaceObserver& observer);

  struct Request {
    uint32_t serial;
    uint32_t stream;
  };
  /// Empty: too many streams or requests.
  std::optional<Request> SubscribeScanout(uint32_t scanout, bool cursor);
  /// `resource` needs no header; its flags are set here.
  std::optional<Request> SubscribeResource(sb_subscribe_resource resource, bool cursor);
  std::optional<Request> SubscribeCapture(uint32_t capture, bool cursor);
  std::optional<Request> Unsubscribe(uint32_t stream);
  /// The subscription was granted, and the stream is not over.
  bool IsOpen(uint32_t stream) const;
  /// Asks for the picture that there is now in a stream that is open. `flags` of sb_refresh_flag;
  /// no damage: all of it. Returns the serial that comes back in SurfaceFrame::refresh.
  uint32_t Refresh(uint32_t stream, uint32_t flags, const std::optional<sb_rect>& damage);
  /// Empty: too many requests.
  std::optional<Request> ConfigureScanout(sb_configure_scanout configuration);
  std::optional<Request> Ping();

  /// The frame that is not released; nullptr when it was, or its stream is over.
  const SurfaceFrame* Outstanding(uint32_t stream, uint64_t sequence) const;
  /// Does nothing when the frame is not outstanding.
  void Release(uint32_t stream, uint64_t sequence);

 private:
  struct Stream {
    /// UNSUBSCRIBE was sent: what still arrives is dropped.
    bool closing = false;
    bool open = false;
    uint64_t last_sequence = 0;
    uint64_t last_pts = 0;
    std::optional<SurfaceFrame> outstanding;
    std::map<uint32_t, std::shared_ptr<SurfaceMemory>> surfaces;
  };

  SurfaceClient(UniqueFd socket, SurfaceMemory::Unmappable unmappable)
      : connection_(std::move(socket), SB_FROM_SERVER), unmappable_(unmappable) {}

  template <typename T>
  std::optional<Request> Subscribe(sb_msg_type type, T message, bool cursor);
  template <typename T>
  std::optional<Request> Ask(sb_msg_type type, T message, uint32_t stream);
  uint32_t NextSerial();
  void Note(surface::SendStatus status);
  std::optional<EngineError> Handle(surface::Message& message, SurfaceObserver& observer);
  std::optional<EngineError> HandleStream(surface::Message& message, SurfaceObserver& observer);
  std::optional<EngineError> HandleHello(const surface::Message& message,
                                         SurfaceObserver& observer);
  std::optional<EngineError> HandleAnswer(const surface::Message& message,
                                          SurfaceObserver& observer);
  std::optional<EngineError> HandleSurface(Stream& stream, surface::Message& message,
                                           SurfaceObserver& observer);
  std::optional<EngineError> HandleFrame(Stream& stream, const surface::Message& message,
                                         SurfaceObserver& observer);
  EngineError ConnectionError() const;

  surface::Connection connection_;
  const SurfaceMemory::Unmappable unmappable_;
  bool greeted_ = false;
  bool send_failed_ = false;
  uint32_t next_serial_ = 1;
  uint32_t next_stream_ = 1;
  std::deque<SurfaceAnswer> pending_;
  std::map<uint32_t, Stream> streams_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_SURFACE_SURFACE_CLIENT_H_
