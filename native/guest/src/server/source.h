// SPDX-License-Identifier: Apache-2.0
// One capture as its clients see it: the newest picture, the cursor, and the streams that show
// them.
//
// Duties and invariants:
//  - It keeps the newest picture until a newer one comes, so that a client that joins a still
//  desktop gets
//    the present picture at once.
//  - It never waits for a stream. A stream that is busy merges the damage and takes the newest
//  picture later.
//
// Not thread-safe: everything of a server happens in its loop's thread.
#ifndef SCANBRIDGE_GUEST_SERVER_SOURCE_H_
#define SCANBRIDGE_GUEST_SERVER_SOURCE_H_

#include <scanbridge/surface.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/cursor.h"
#include "server/damage.h"
#include "server/picture.h"

namespace scanbridge::guest {

class Subscriber;

class Source {
 public:
  struct Counters {
    uint64_t pictures = 0;
    uint64_t replaced = 0;
    uint64_t frames = 0;
    uint64_t reclaimed = 0;
  };

  explicit Source(uint32_t id) : id_(id) {}
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source();

  uint32_t id() const { return id_; }

  // What the producer does.

  /// A new picture; `damage` is what changed since the one before.
  void Present(std::shared_ptr<Picture> picture, const Damage& damage);
  /// The producer had a newer picture before this one could be presented; its damage is in the next
  /// one's.
  void NoteSkipped();
  /// To be changed in place, then told with CursorChanged: shapes are large.
  Cursor& cursor() { return cursor_; }
  void CursorChanged();
  void SetState(sb_stream_state state);
  /// All surfaces are gone; pictures that clients still read are forgotten.
  void Reset(sb_reset_reason reason);
  /// No further picture uses the surface; its pictures are forgotten.
  void DropSurface(uint32_t surface);
  /// Ends all streams. Nothing may be presented after it.
  void End(sb_surface_error code, const std::string& text);
  /// Takes back the oldest picture that a client reads, except the newest one; false when there is
  /// none.
  bool ReclaimOldest();

  // What subscribers do.

  void Attach(Subscriber& stream);
  void Detach(Subscriber& stream);
  /// A subscriber sent the newest picture to its client.
  void NoteSent();

  const std::shared_ptr<Picture>& newest() const { return newest_; }
  const Cursor& cursor() const { return cursor_; }
  sb_stream_state state() const { return state_; }
  bool ended() const { return ended_; }
  size_t stream_count() const { return streams_.size(); }
  const Counters& counters() const { return counters_; }

 private:
  template <typename Call>
  void ForEachStream(Call call);

  const uint32_t id_;
  std::vector<Subscriber*> streams_;
  std::shared_ptr<Picture> newest_;
  bool newest_sent_ = false;
  Cursor cursor_;
  sb_stream_state state_ = SB_STREAM_STATE_WAITING;
  bool ended_ = false;
  Counters counters_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SERVER_SOURCE_H_
