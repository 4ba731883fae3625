// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>
#include <vector>

#include "addon/descriptor.h"
#include "addon/guarded.h"
#include "addon/lease_functions.h"
#include "evdev/virtual_input.h"
#include "lease/system_error.h"
#include "seat/unix_socket.h"

namespace scanbridge::guest {
namespace {

constexpr size_t kMaxRead = 1 << 20;

std::string Text(const Napi::Value& value) {
  return value.As<Napi::String>().Utf8Value();
}

Napi::Value ListenUnixFunction(const Napi::CallbackInfo& info) {
  return Descriptor::New(info.Env(), ListenUnix(Text(info[0])));
}

Napi::Value ConnectUnixFunction(const Napi::CallbackInfo& info) {
  return Descriptor::New(info.Env(), ConnectUnix(Text(info[0])));
}

Napi::Value AcceptUnixFunction(const Napi::CallbackInfo& info) {
  return Descriptor::New(info.Env(), AcceptUnix(Descriptor::Get(info[0])));
}

// peerCredentials(number): of a descriptor that somebody else owns
Napi::Value PeerFunction(const Napi::CallbackInfo& info) {
  const Peer peer = PeerOf(info[0].As<Napi::Number>().Int32Value());
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("pid", static_cast<int32_t>(peer.pid));
  object.Set("uid", static_cast<uint32_t>(peer.uid));
  object.Set("gid", static_cast<uint32_t>(peer.gid));
  return object;
}

// receive(descriptor, limit): {data, descriptors, end}
Napi::Value ReceiveFunction(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto limit = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  if (limit == 0 || limit > kMaxRead)
    throw Napi::RangeError::New(env, "reads have 1 byte to 1 MiB");
  Received received = Receive(Descriptor::Get(info[0]), limit);
  Napi::Object object = Napi::Object::New(env);
  object.Set("data", Napi::Buffer<uint8_t>::Copy(env, received.data.data(), received.data.size()));
  Napi::Array descriptors = Napi::Array::New(env);
  for (UniqueFd& fd : received.descriptors) {
    descriptors.Set(descriptors.Length(), Descriptor::New(env, std::move(fd)));
  }
  object.Set("descriptors", descriptors);
  object.Set("end", received.end);
  return object;
}

// send(descriptor, data, descriptors)
Napi::Value SendFunction(const Napi::CallbackInfo& info) {
  const auto data = info[1].As<Napi::Uint8Array>();
  const auto list = info[2].As<Napi::Array>();
  std::vector<int> descriptors;
  for (uint32_t i = 0; i < list.Length(); i++) descriptors.push_back(Descriptor::Get(list.Get(i)));
  Send(Descriptor::Get(info[0]), {data.Data(), data.ByteLength()}, descriptors);
  return info.Env().Undefined();
}

// deviceNumber(path): {major, minor} of a character device
Napi::Value DeviceNumberFunction(const Napi::CallbackInfo& info) {
  const std::string path = Text(info[0]);
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) ThrowErrno("cannot look at " + path);
  if (!S_ISCHR(status.st_mode)) ThrowErrno(path + " is no device", ENODEV);
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("major", major(status.st_rdev));
  object.Set("minor", minor(status.st_rdev));
  return object;
}

// openInput(path): an evdev node
Napi::Value OpenInputFunction(const Napi::CallbackInfo& info) {
  const std::string path = Text(info[0]);
  UniqueFd fd(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW));
  if (!fd) ThrowErrno("cannot open " + path);
  return Descriptor::New(info.Env(), std::move(fd));
}

Napi::Value RevokeInputFunction(const Napi::CallbackInfo& info) {
  RevokeInput(Descriptor::Get(info[0]));
  return info.Env().Undefined();
}

// createVirtualInput(kind, name, phys): {descriptor, node}
Napi::Value CreateVirtualInputFunction(const Napi::CallbackInfo& info) {
  const std::string kind = Text(info[0]);
  VirtualInput device = CreateVirtualInput(kind == "pointer"    ? VirtualInputKind::kPointer
                                           : kind == "keyboard" ? VirtualInputKind::kKeyboard
                                                                : VirtualInputKind::kTouch,
                                           Text(info[1]), Text(info[2]));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("descriptor", Descriptor::New(info.Env(), std::move(device.fd)));
  object.Set("node", device.node);
  return object;
}

// writeInput(descriptor, Int32Array of type, code, value, type, code, value...)
Napi::Value WriteInputFunction(const Napi::CallbackInfo& info) {
  const auto numbers = info[1].As<Napi::Int32Array>();
  std::vector<InputValue> values;
  for (size_t i = 0; i + 2 < numbers.ElementLength(); i += 3) {
    values.push_back(
        {static_cast<uint16_t>(numbers[i]), static_cast<uint16_t>(numbers[i + 1]), numbers[i + 2]});
  }
  WriteInput(Descriptor::Get(info[0]), values);
  return info.Env().Undefined();
}

}  // namespace

void DefineSocketFunctions(Napi::Env env, Napi::Object exports) {
  Export<ListenUnixFunction>(env, exports, "listenUnix");
  Export<ConnectUnixFunction>(env, exports, "connectUnix");
  Export<AcceptUnixFunction>(env, exports, "acceptUnix");
  Export<PeerFunction>(env, exports, "peerCredentials");
  Export<ReceiveFunction>(env, exports, "receive");
  Export<SendFunction>(env, exports, "send");
  Export<DeviceNumberFunction>(env, exports, "deviceNumber");
  Export<OpenInputFunction>(env, exports, "openInput");
  Export<RevokeInputFunction>(env, exports, "revokeInput");
  Export<CreateVirtualInputFunction>(env, exports, "createVirtualInput");
  Export<WriteInputFunction>(env, exports, "writeInput");
}

}  // namespace scanbridge::guest
