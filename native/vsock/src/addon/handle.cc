// SPDX-License-Identifier: Apache-2.0
#include "addon/handle.h"

#include <uv.h>

#include <array>
#include <cerrno>
#include <memory>

namespace scanbridge::vsock {
namespace {

/// Buffers of one write; more are written by the next one.
constexpr size_t kMaxBuffers = 64;

Napi::Value AddressOrError(Napi::Env env, int result, Address address) {
  if (result < 0) return Napi::Number::New(env, result);
  Napi::Object object = Napi::Object::New(env);
  object.Set("cid", address.cid);
  object.Set("port", address.port);
  return object;
}

uint32_t Uint32(const Napi::CallbackInfo& info, size_t index) {
  return info[index].As<Napi::Number>().Uint32Value();
}

}  // namespace

struct Poll {
  uv_poll_t uv{};
  napi_async_cleanup_hook_handle hook = nullptr;
  /// Empty once the handle has closed.
  Handle* handle = nullptr;

  static void OnReady(uv_poll_t* uv, int status, int events) {
    auto* poll = static_cast<Poll*>(uv->data);
    if (poll->handle != nullptr) poll->handle->OnReady(status, events);
  }

  /// The descriptor may be closed when this returns. libuv frees the poll later.
  void End() {
    handle = nullptr;
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&uv)) != 0) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&uv), [](uv_handle_t* uv_handle) {
      const std::unique_ptr<Poll> self(static_cast<Poll*>(uv_handle->data));
      if (self->hook != nullptr) napi_remove_async_cleanup_hook(self->hook);
    });
  }

  /// The environment ends, with sockets still open; it waits until the hook is removed.
  static void OnTeardown(napi_async_cleanup_hook_handle /*hook*/, void* data) {
    auto* poll = static_cast<Poll*>(data);
    if (poll->handle != nullptr) poll->handle->Shut();
    poll->End();
  }
};

Napi::Function Handle::Define(Napi::Env env) {
  return DefineClass(
      env, "Handle",
      {InstanceMethod<&Handle::Connect>("connect"),
       InstanceMethod<&Handle::OpenDevice>("openDevice"), InstanceMethod<&Handle::Listen>("listen"),
       InstanceMethod<&Handle::Accept>("accept"), InstanceMethod<&Handle::Watch>("watch"),
       InstanceMethod<&Handle::Read>("read"), InstanceMethod<&Handle::Write>("write"),
       InstanceMethod<&Handle::ShutdownWrite>("shutdownWrite"),
       InstanceMethod<&Handle::Error>("error"), InstanceMethod<&Handle::Local>("local"),
       InstanceMethod<&Handle::Peer>("peer"), InstanceMethod<&Handle::Close>("close")});
}

Handle::Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Handle>(info) {}

Handle::~Handle() {
  Shut();
}

int Handle::StartPoll(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return -EINVAL;
  auto poll = std::make_unique<Poll>();
  const int result = uv_poll_init(loop, &poll->uv, socket_.fd());
  if (result < 0) return result;
  poll->uv.data = poll.get();
  poll->handle = this;
  poll_ = poll.release();  // libuv's from here on
  // Collected only after it was closed: what is open is reachable from the event loop.
  Ref();
  const napi_status added =
      napi_add_async_cleanup_hook(env, &Poll::OnTeardown, poll_, &poll_->hook);
  return added == napi_ok ? 0 : -ENOMEM;
}

void Handle::Shut() {
  if (poll_ != nullptr) {
    poll_->End();
    poll_ = nullptr;
    ready_.Reset();
    Unref();
  }
  socket_.Close();
}

// connect(cid, port): EINPROGRESS until it is writable.
Napi::Value Handle::Connect(const Napi::CallbackInfo& info) {
  int result = socket_.Open();
  if (result == 0) {
    result = socket_.Connect({Uint32(info, 0), Uint32(info, 1)});
    if (result == 0 || result == -EINPROGRESS) {
      const int polled = StartPoll(info.Env());
      if (polled < 0) result = polled;
    }
  }
  if (result < 0 && result != -EINPROGRESS) Shut();
  return Napi::Number::New(info.Env(), result);
}

// openDevice(path)
Napi::Value Handle::OpenDevice(const Napi::CallbackInfo& info) {
  int result = socket_.OpenDevice(info[0].As<Napi::String>().Utf8Value().c_str());
  if (result == 0) result = StartPoll(info.Env());
  if (result < 0) Shut();
  return Napi::Number::New(info.Env(), result);
}

// listen(cid, port, backlog)
Napi::Value Handle::Listen(const Napi::CallbackInfo& info) {
  int result = socket_.Open();
  if (result == 0) {
    result = socket_.Listen({Uint32(info, 0), Uint32(info, 1)}, static_cast<int>(Uint32(info, 2)));
  }
  if (result == 0) result = StartPoll(info.Env());
  if (result < 0) Shut();
  return Napi::Number::New(info.Env(), result);
}

// accept(into: Handle)
Napi::Value Handle::Accept(const Napi::CallbackInfo& info) {
  Handle* into = Unwrap(info[0].As<Napi::Object>());
  Address peer;
  int result = socket_.Accept(into->socket_, peer);
  if (result == 0) result = into->StartPoll(info.Env());
  if (result < 0) into->Shut();
  return Napi::Number::New(info.Env(), result);
}

// watch(events, ready): `ready(status, events)` as long as one of `events` is so; 0 ends it.
Napi::Value Handle::Watch(const Napi::CallbackInfo& info) {
  if (poll_ == nullptr) return Napi::Number::New(info.Env(), -EBADF);
  const auto events = static_cast<int>(Uint32(info, 0)) & (UV_READABLE | UV_WRITABLE);
  if (events == 0) return Napi::Number::New(info.Env(), uv_poll_stop(&poll_->uv));
  ready_ = Napi::Persistent(info[1].As<Napi::Function>());
  return Napi::Number::New(info.Env(), uv_poll_start(&poll_->uv, events, &Poll::OnReady));
}

void Handle::OnReady(int status, int events) {
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  const Napi::AsyncContext context(env, "scanbridge:vsock");
  try {
    ready_.MakeCallback(Value(), {Napi::Number::New(env, status), Napi::Number::New(env, events)},
                        context);
  } catch (const Napi::Error& error) {
    // As for any listener that throws: an uncaught exception.
    napi_fatal_exception(env, error.Value());
  }
}

// read(into: Uint8Array)
Napi::Value Handle::Read(const Napi::CallbackInfo& info) {
  if (!socket_.open()) return Napi::Number::New(info.Env(), -EBADF);
  auto into = info[0].As<Napi::Uint8Array>();
  const ssize_t result = socket_.Read(std::span(into.Data(), into.ByteLength()));
  return Napi::Number::New(info.Env(), static_cast<double>(result));
}

// write(from: Uint8Array[], skip): from the byte `skip` of all on.
Napi::Value Handle::Write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!socket_.open()) return Napi::Number::New(env, -EBADF);
  auto from = info[0].As<Napi::Array>();
  size_t skip = Uint32(info, 1);
  std::array<iovec, kMaxBuffers> parts;
  size_t count = 0;
  for (uint32_t i = 0; i < from.Length() && count < parts.size(); i++) {
    auto bytes = from.Get(i).As<Napi::Uint8Array>();
    const size_t length = bytes.ByteLength();
    if (skip >= length) {
      skip -= length;
      continue;
    }
    parts[count++] = iovec{bytes.Data() + skip, length - skip};
    skip = 0;
  }
  if (count == 0) return Napi::Number::New(env, 0);
  return Napi::Number::New(env, static_cast<double>(socket_.Write({parts.data(), count})));
}

Napi::Value Handle::ShutdownWrite(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), socket_.open() ? socket_.ShutdownWrite() : -EBADF);
}

// error(): the pending error as -errno; 0: none.
Napi::Value Handle::Error(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), socket_.open() ? -socket_.Error() : -EBADF);
}

Napi::Value Handle::Local(const Napi::CallbackInfo& info) {
  Address address;
  const int result = socket_.Local(address);
  return AddressOrError(info.Env(), result, address);
}

Napi::Value Handle::Peer(const Napi::CallbackInfo& info) {
  Address address;
  const int result = socket_.Peer(address);
  return AddressOrError(info.Env(), result, address);
}

void Handle::Close(const Napi::CallbackInfo& /*info*/) {
  Shut();
}

}  // namespace scanbridge::vsock
