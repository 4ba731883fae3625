// SPDX-License-Identifier: Apache-2.0
// What a surface client tells JavaScript: the events of lib/surface-client.ts.
#ifndef SCANBRIDGE_HOST_ADDON_CLIENT_EVENTS_H_
#define SCANBRIDGE_HOST_ADDON_CLIENT_EVENTS_H_

#include <napi.h>

#include <optional>
#include <variant>

#include "engine/events.h"
#include "surface/surface_client.h"

namespace scanbridge::host {

struct SurfaceGone {
  uint32_t stream = 0;
  uint32_t surface = 0;
};
struct StreamCursor {
  uint32_t stream = 0;
  CursorEvent cursor;
};
struct StreamReset {
  uint32_t stream = 0;
  sb_reset_reason reason{};
};
struct StreamState {
  uint32_t stream = 0;
  sb_stream_state state{};
};
struct StreamEnd {
  uint32_t stream = 0;
  std::optional<EngineError> error;
};

using ClientEvent =
    std::variant<sb_hello_reply, SurfaceAnswer, sb_scanout_info, sb_surface, SurfaceGone,
                 SurfaceFrame, StreamCursor, StreamReset, StreamState, StreamEnd, EndEvent>;

Napi::Value ClientEventToJs(Napi::Env env, ClientEvent& event);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ADDON_CLIENT_EVENTS_H_
