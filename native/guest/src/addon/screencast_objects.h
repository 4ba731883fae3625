// SPDX-License-Identifier: Apache-2.0
// Screen cast sessions for JavaScript (lib/addon.ts has their types).
#ifndef SCANBRIDGE_GUEST_ADDON_SCREENCAST_OBJECTS_H_
#define SCANBRIDGE_GUEST_ADDON_SCREENCAST_OBJECTS_H_

#include <napi.h>

#include <memory>

#include "addon/event_sink.h"
#include "addon/teardown.h"
#include "screencast/mutter.h"
#include "screencast/portal.h"

namespace scanbridge::guest {

class MutterObject : public Napi::ObjectWrap<MutterObject> {
 public:
  static void Define(Napi::Env env, Napi::Object exports);
  explicit MutterObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value Input(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  void Shut();

  std::shared_ptr<EventSink> events_;
  std::unique_ptr<MutterSession> session_;
  std::unique_ptr<Teardown> teardown_;
};

class PortalObject : public Napi::ObjectWrap<PortalObject> {
 public:
  static void Define(Napi::Env env, Napi::Object exports);
  explicit PortalObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value OpenPipeWireRemote(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  void Shut();

  std::shared_ptr<EventSink> events_;
  std::unique_ptr<PortalSession> session_;
  std::unique_ptr<Teardown> teardown_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_SCREENCAST_OBJECTS_H_
