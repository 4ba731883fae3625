// SPDX-License-Identifier: Apache-2.0
// SurfaceServer and Capture for JavaScript (lib/addon.ts has their types).
#ifndef SCANBRIDGE_GUEST_ADDON_SERVER_OBJECT_H_
#define SCANBRIDGE_GUEST_ADDON_SERVER_OBJECT_H_

#include <napi.h>

#include <memory>

#include "addon/event_sink.h"
#include "addon/teardown.h"
#include "loop/loop.h"
#include "pipewire/capture.h"
#include "server/source.h"
#include "server/surface_server.h"

namespace scanbridge::guest {

/// A server and its thread; shared by the server's object and those of its captures.
struct ServerThread {
  Loop loop{"scanbridge-capture"};
  /// Empty once the server was closed.
  std::unique_ptr<SurfaceServer> server;

  ~ServerThread();
};

class ServerObject : public Napi::ObjectWrap<ServerObject> {
 public:
  static void Define(Napi::Env env, Napi::Object exports);
  explicit ServerObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value AddCapture(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  void Shut();

  std::shared_ptr<ServerThread> thread_;
  std::unique_ptr<Teardown> teardown_;
};

class CaptureObject : public Napi::ObjectWrap<CaptureObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit CaptureObject(const Napi::CallbackInfo& info);
  ~CaptureObject() override;

  void Start(std::shared_ptr<ServerThread> thread, CaptureOptions options, Napi::Function listener);

 private:
  Napi::Value Id(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value Resize(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  void Shut();

  std::shared_ptr<ServerThread> thread_;
  std::shared_ptr<EventSink> events_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Capture> capture_;
  std::unique_ptr<Teardown> teardown_;
  uint32_t id_ = 0;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_SERVER_OBJECT_H_
