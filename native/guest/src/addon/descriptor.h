// SPDX-License-Identifier: Apache-2.0
// A file descriptor for JavaScript (lib/descriptor.ts has its type). It is owned by this object
// alone and closed by close(), or when the object is collected; Node's event loop tells when there
// is something to read.
#ifndef SCANBRIDGE_GUEST_ADDON_DESCRIPTOR_H_
#define SCANBRIDGE_GUEST_ADDON_DESCRIPTOR_H_

#include <napi.h>

#include "scanbridge/surface/unique_fd.h"

namespace scanbridge::guest {

/// A poll of the event loop; lives until libuv has let go of it.
struct DescriptorPoll;

class Descriptor : public Napi::ObjectWrap<Descriptor> {
 public:
  static void Define(Napi::Env env, Napi::Object exports);
  static Napi::Object New(Napi::Env env, UniqueFd fd);
  /// The descriptor of a JavaScript value; throws TypeError if it is none, or closed.
  static int Get(const Napi::Value& value);

  /// Only New() makes one that holds anything.
  explicit Descriptor(const Napi::CallbackInfo& info);
  ~Descriptor() override;

 private:
  friend struct DescriptorPoll;

  Napi::Value IsOpen(const Napi::CallbackInfo& info);
  Napi::Value Number(const Napi::CallbackInfo& info);
  /// watch(ready | null): calls it while there is something to read.
  void Watch(const Napi::CallbackInfo& info);
  Napi::Value Duplicate(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void StopPoll();
  void Shut();

  UniqueFd fd_;
  DescriptorPoll* poll_ = nullptr;
  Napi::FunctionReference ready_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_DESCRIPTOR_H_
