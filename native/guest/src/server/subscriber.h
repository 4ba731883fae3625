// SPDX-License-Identifier: Apache-2.0
// Whoever follows a source: a client's stream, or the stream of resource ids.
#ifndef SCANBRIDGE_GUEST_SERVER_SUBSCRIBER_H_
#define SCANBRIDGE_GUEST_SERVER_SUBSCRIBER_H_

#include <scanbridge/surface.h>

#include <cstdint>
#include <string>

#include "server/damage.h"
#include "server/picture.h"

namespace scanbridge::guest {

/// Called by its source, in the loop's thread. Attached and detached by itself.
class Subscriber {
 public:
  virtual ~Subscriber() = default;

  /// The picture whose memory it reads, or nullptr.
  virtual Picture* outstanding() const = 0;
  /// The source has a newer picture; `damage` is what changed since the one before.
  virtual void OnPicture(const Damage& damage) = 0;
  virtual void OnCursor() = 0;
  virtual void OnState() = 0;
  /// All surfaces are gone.
  virtual void OnReset(sb_reset_reason reason) = 0;
  /// No further picture uses the surface.
  virtual void OnSurfaceGone(uint32_t surface) = 0;
  /// The source has ended and is not to be used any more. May destroy the subscriber.
  virtual void OnEnd(sb_surface_error code, const std::string& text) = 0;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SERVER_SUBSCRIBER_H_
