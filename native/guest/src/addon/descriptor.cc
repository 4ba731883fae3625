// SPDX-License-Identifier: Apache-2.0
#include "addon/descriptor.h"

#include <uv.h>

#include <memory>

namespace scanbridge::guest {
namespace {

/// Of one environment; worker threads have their own.
struct Class {
  Napi::FunctionReference constructor;
};

napi_type_tag kTag = {0x6a1f0d3b52c84e97, 0x9b0f74d1c2a3e586};

}  // namespace

struct DescriptorPoll {
  uv_poll_t uv{};
  Napi::AsyncContext context;
  napi_async_cleanup_hook_handle hook = nullptr;
  /// Empty once the descriptor is not watched any more.
  Descriptor* descriptor = nullptr;

  explicit DescriptorPoll(Napi::Env env) : context(env, "scanbridge-descriptor") {}

  static void OnReady(uv_poll_t* uv, int /*status*/, int /*events*/) {
    auto* poll = static_cast<DescriptorPoll*>(uv->data);
    if (poll->descriptor == nullptr) return;
    Napi::Env env = poll->context.Env();
    const Napi::HandleScope scope(env);
    try {
      poll->descriptor->ready_.MakeCallback(env.Global(), {}, poll->context);
    } catch (const Napi::Error& error) {
      // As of any listener that throws: the process says so and ends.
      napi_fatal_exception(env, error.Value());
    }
  }

  /// The descriptor may be closed when this returns. libuv frees the poll later.
  void End() {
    descriptor = nullptr;
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&uv)) != 0) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&uv), [](uv_handle_t* handle) {
      const std::unique_ptr<DescriptorPoll> self(static_cast<DescriptorPoll*>(handle->data));
      if (self->hook != nullptr) napi_remove_async_cleanup_hook(self->hook);
    });
  }

  /// The environment ends while the descriptor is watched; it waits until the hook is removed.
  static void OnTeardown(napi_async_cleanup_hook_handle /*hook*/, void* data) {
    auto* poll = static_cast<DescriptorPoll*>(data);
    if (poll->descriptor != nullptr) poll->descriptor->Shut();
    poll->End();
  }
};

void Descriptor::Define(Napi::Env env, Napi::Object exports) {
  Napi::Function constructor = DefineClass(
      env, "Descriptor",
      {InstanceAccessor<&Descriptor::IsOpen>("open"), InstanceAccessor<&Descriptor::Number>("fd"),
       InstanceMethod<&Descriptor::Watch>("watch"),
       InstanceMethod<&Descriptor::Duplicate>("duplicate"),
       InstanceMethod<&Descriptor::Close>("close")});
  auto owned = std::make_unique<Class>();
  owned->constructor = Napi::Persistent(constructor);
  env.SetInstanceData(owned.release());
  exports.Set("Descriptor", constructor);
}

Napi::Object Descriptor::New(Napi::Env env, UniqueFd fd) {
  Napi::Object object = env.GetInstanceData<Class>()->constructor.New({});
  object.TypeTag(&kTag);
  Unwrap(object)->fd_ = std::move(fd);
  return object;
}

int Descriptor::Get(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag)) {
    throw Napi::TypeError::New(value.Env(), "this is no descriptor");
  }
  const int fd = Unwrap(value.As<Napi::Object>())->fd_.get();
  if (fd < 0) throw Napi::TypeError::New(value.Env(), "this descriptor is closed");
  return fd;
}

Descriptor::Descriptor(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Descriptor>(info) {}

Descriptor::~Descriptor() {
  Shut();
}

Napi::Value Descriptor::IsOpen(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), static_cast<bool>(fd_));
}

Napi::Value Descriptor::Number(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), fd_.get());
}

void Descriptor::Watch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  StopPoll();
  if (!info[0].IsFunction()) return;
  if (!fd_) throw Napi::TypeError::New(env, "this descriptor is closed");
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
    throw Napi::Error::New(env, "there is no event loop");
  }
  auto poll = std::make_unique<DescriptorPoll>(env);
  const int result = uv_poll_init(loop, &poll->uv, fd_.get());
  if (result < 0) throw Napi::Error::New(env, uv_strerror(result));
  poll->uv.data = poll.get();
  poll->descriptor = this;
  poll_ = poll.release();  // libuv's from here on
  ready_ = Napi::Persistent(info[0].As<Napi::Function>());
  // Collected only after it was closed: what is watched is reachable from the event loop.
  Ref();
  napi_add_async_cleanup_hook(env, &DescriptorPoll::OnTeardown, poll_, &poll_->hook);
  uv_poll_start(&poll_->uv, UV_READABLE | UV_DISCONNECT, &DescriptorPoll::OnReady);
}

Napi::Value Descriptor::Duplicate(const Napi::CallbackInfo& info) {
  UniqueFd copy = fd_.duplicate();
  if (!copy) throw Napi::Error::New(info.Env(), "the process has no more descriptors");
  return New(info.Env(), std::move(copy));
}

void Descriptor::Close(const Napi::CallbackInfo& /*info*/) {
  Shut();
}

void Descriptor::StopPoll() {
  if (poll_ == nullptr) return;
  poll_->End();
  poll_ = nullptr;
  ready_.Reset();
  Unref();
}

void Descriptor::Shut() {
  StopPoll();
  fd_.reset();
}

}  // namespace scanbridge::guest
