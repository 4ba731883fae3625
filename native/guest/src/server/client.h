// SPDX-License-Identifier: Apache-2.0
// One connection to the surface server: hello, requests, streams.
#ifndef SCANBRIDGE_GUEST_SERVER_CLIENT_H_
#define SCANBRIDGE_GUEST_SERVER_CLIENT_H_

#include <scanbridge/surface.h>
#include <scanbridge/surface/connection.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "loop/loop.h"
#include "server/stream.h"

namespace scanbridge::guest {

class SurfaceServer;

/// A client that does not read gets no further frames; one that asks without reading answers is
/// disconnected when the connection's send queue is full.
class Client {
 public:
  Client(SurfaceServer& server, Loop& loop, UniqueFd socket);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  /// Whether this client and the server both named the capability.
  bool Shares(uint64_t capability) const { return (capabilities_ & capability) != 0; }
  /// Frames and cursors wait while this is true.
  bool congested() const { return closing_ || connection_.wants_write(); }

  template <typename T>
  bool Send(const T& message, surface::FdList fds = {}) {
    return SendBytes(std::span(reinterpret_cast<const uint8_t*>(&message), sizeof message),
                     std::move(fds));
  }
  /// False when the connection is lost; the client is destroyed soon after.
  bool SendBytes(std::span<const uint8_t> bytes, surface::FdList fds = {});

  /// The stream has ended; destroys it.
  void RemoveStream(uint32_t id);

  /// Tells the client why, and closes.
  void Refuse(sb_surface_error code, std::string_view text);

 private:
  // Messages handled in one go, so that one client does not starve the others and the captures.
  static constexpr int kBatch = 64;
  // Streams that ended, whose RELEASE may still be on its way.
  static constexpr size_t kRememberedStreams = SB_MAX_STREAMS;

  void OnReady(uint32_t events);
  void Receive();
  void Handle(const surface::Message& message);
  void HandleHello(const sb_hello& hello);
  void HandleSubscribe(const sb_subscribe_capture& request);
  void HandleUnsubscribe(const sb_header& header);
  void HandleRelease(const sb_release& release);
  void SendError(const sb_header& request, sb_surface_error code, std::string_view text);
  void UpdateWatch();
  /// Destroys this object once the present event was handled.
  void Close();

  SurfaceServer& server_;
  surface::Connection connection_;
  IoWatch watch_;
  bool greeted_ = false;
  bool closing_ = false;
  uint64_t capabilities_ = 0;
  std::map<uint32_t, std::unique_ptr<Stream>> streams_;
  std::deque<uint32_t> ended_streams_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SERVER_CLIENT_H_
