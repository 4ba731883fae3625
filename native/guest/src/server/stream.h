// SPDX-License-Identifier: Apache-2.0
// One stream of one client: which surfaces it knows, which frame it reads, what it has missed.
//
// Invariants (docs/protocols/surface.md, "A stream"):
//  - At most one frame is unreleased; what comes meanwhile is merged damage.
//  - A frame or cursor is sent only while the client's send queue is empty, so that a client which
//  does not
//    read costs no more than the messages of one frame.
#ifndef SCANBRIDGE_GUEST_SERVER_STREAM_H_
#define SCANBRIDGE_GUEST_SERVER_STREAM_H_

#include <scanbridge/surface.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/damage.h"
#include "server/picture.h"
#include "server/subscriber.h"

namespace scanbridge::guest {

class Client;
class Source;

class Stream final : public Subscriber {
 public:
  enum class ReleaseResult { kDone, kIgnored, kNeverSent };

  /// Attaches itself to `source`; `client` and `source` outlive it (the source ends it first).
  Stream(Client& client, Source& source, uint32_t id, uint32_t flags);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() override;

  uint32_t id() const { return id_; }

  /// After the OK of the subscription: state, cursor, and the present picture.
  void Begin();
  ReleaseResult Release(uint64_t sequence);
  /// The client's send queue is empty again.
  void OnWritable();
  /// The frame that the client reads, or nullptr.
  Picture* outstanding() const override { return outstanding_.get(); }

  // The source's events.

  void OnPicture(const Damage& damage) override;
  void OnCursor() override;
  void OnState() override;
  void OnReset(sb_reset_reason reason) override;
  void OnSurfaceGone(uint32_t surface) override;
  /// Destroys this stream.
  void OnEnd(sb_surface_error code, const std::string& text) override;

 private:
  // Sequences that a RELEASE crossing a RESET may still name. More resets than this within one
  // round trip do not happen: each needs a frame in between.
  static constexpr size_t kRemembered = 64;

  void TrySend();
  bool SendSurface(const Surface& surface);
  void SendFrame();
  void TrySendCursor();

  Client& client_;
  Source& source_;
  const uint32_t id_;
  const bool wants_cursor_;
  std::shared_ptr<Picture> outstanding_;
  /// A newer picture than the last sent one waits in the source.
  bool pending_ = false;
  bool discontinuity_ = false;
  Damage damage_;
  sb_rect last_crop_{};
  uint64_t last_pts_ = 0;
  std::array<uint64_t, kRemembered> sent_{};
  uint64_t sent_count_ = 0;
  /// Surface ids that the client knows.
  std::vector<uint32_t> announced_;
  bool cursor_pending_ = false;
  uint64_t cursor_shape_sent_ = 0;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SERVER_STREAM_H_
