// SPDX-License-Identifier: Apache-2.0
// What all captures have in common between JavaScript and C++ (lib/addon.ts has the types).
#ifndef SCANBRIDGE_GUEST_ADDON_CAPTURE_EVENTS_H_
#define SCANBRIDGE_GUEST_ADDON_CAPTURE_EVENTS_H_

#include <napi.h>

#include <functional>
#include <memory>
#include <string>

#include "addon/event_sink.h"
#include "pipewire/capture.h"
#include "server/source.h"

namespace scanbridge::guest {

/// NativeCaptureOptions without what depends on the GPU.
CaptureOptions ReadCaptureOptions(const Napi::Object& object);

/// Events of a capture as calls of the sink's listener; `ended` runs in JavaScript's thread, before
/// its listener.
Capture::Events MakeCaptureEvents(const std::shared_ptr<EventSink>& sink,
                                  std::function<void()> ended);

/// CaptureStats.
Napi::Object MakeCaptureStats(Napi::Env env, const Source::Counters& counters,
                              const Capture::PoolCounters& pool, size_t streams);

/// Throws a JavaScript error with a code.
[[noreturn]] void ThrowCoded(Napi::Env env, const char* code, const std::string& message);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_CAPTURE_EVENTS_H_
