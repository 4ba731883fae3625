// SPDX-License-Identifier: Apache-2.0
// Values as JavaScript sees them, and options as C++ sees them. The shapes are those of lib/*.ts.
#ifndef SCANBRIDGE_HOST_ADDON_TO_JS_H_
#define SCANBRIDGE_HOST_ADDON_TO_JS_H_

#include <napi.h>

#include <string>

#include "core/engine_error.h"
#include "core/percentiles.h"
#include "engine/engine.h"
#include "engine/events.h"

namespace scanbridge::host {

Napi::Object ToJs(Napi::Env env, const EngineError& error);
Napi::Value EngineEventToJs(Napi::Env env, EngineEvent& event);
Napi::Object ToJs(Napi::Env env, const EngineStats& stats);
/// Fills `into` with the fields of a CursorEvent.
void CursorToJs(Napi::Env env, Napi::Object into, const CursorEvent& cursor);
const char* NameOf(sb_reset_reason reason);

/// Options that lib/engine.ts has checked.
EngineOptions OptionsFromJs(const Napi::Object& options);
ResourceLayout ResourceFromJs(const Napi::Object& resource);
ShownFrame FrameFromJs(const Napi::Object& frame);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ADDON_TO_JS_H_
