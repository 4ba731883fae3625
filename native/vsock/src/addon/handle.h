// SPDX-License-Identifier: Apache-2.0
// A socket for JavaScript (lib/addon.ts has its type): system calls that never wait, and Node's own
// event loop to tell when they may succeed. There is no thread, and no byte is held here.
#ifndef SCANBRIDGE_VSOCK_ADDON_HANDLE_H_
#define SCANBRIDGE_VSOCK_ADDON_HANDLE_H_

#include <napi.h>

#include "socket.h"

namespace scanbridge::vsock {

/// A poll of the event loop; lives until libuv has let go of it.
struct Poll;

class Handle : public Napi::ObjectWrap<Handle> {
 public:
  static Napi::Function Define(Napi::Env env);
  /// JavaScript makes it without arguments; it holds nothing until connect() or listen().
  explicit Handle(const Napi::CallbackInfo& info);
  ~Handle() override;

 private:
  friend struct Poll;

  /// All results: 0 or more is success, less is -errno.
  Napi::Value Connect(const Napi::CallbackInfo& info);
  Napi::Value OpenDevice(const Napi::CallbackInfo& info);
  Napi::Value Listen(const Napi::CallbackInfo& info);
  Napi::Value Accept(const Napi::CallbackInfo& info);
  Napi::Value Watch(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value ShutdownWrite(const Napi::CallbackInfo& info);
  Napi::Value Error(const Napi::CallbackInfo& info);
  Napi::Value Local(const Napi::CallbackInfo& info);
  Napi::Value Peer(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  int StartPoll(Napi::Env env);
  /// Ends the poll and closes the descriptor.
  void Shut();
  void OnReady(int status, int events);

  Socket socket_;
  Poll* poll_ = nullptr;
  Napi::FunctionReference ready_;
};

}  // namespace scanbridge::vsock

#endif  // SCANBRIDGE_VSOCK_ADDON_HANDLE_H_
