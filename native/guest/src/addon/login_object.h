// SPDX-License-Identifier: Apache-2.0
// A LoginServer for JavaScript (lib/addon of lease.ts has its type).
#ifndef SCANBRIDGE_GUEST_ADDON_LOGIN_OBJECT_H_
#define SCANBRIDGE_GUEST_ADDON_LOGIN_OBJECT_H_

#include <napi.h>

#include <memory>

#include "addon/event_sink.h"
#include "addon/teardown.h"
#include "seat/login_server.h"

namespace scanbridge::guest {

class LoginObject : public Napi::ObjectWrap<LoginObject> {
 public:
  static void Define(Napi::Env env, Napi::Object exports);
  /// LoginServer({address, session, uid}, listener)
  explicit LoginObject(const Napi::CallbackInfo& info);

 private:
  /// answer(serial, descriptor | null, refusal)
  void Answer(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void Shut();

  std::shared_ptr<EventSink> events_;
  std::unique_ptr<LoginServer> server_;
  std::unique_ptr<Teardown> teardown_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_LOGIN_OBJECT_H_
