// SPDX-License-Identifier: Apache-2.0
#include "addon/login_object.h"

#include <fcntl.h>

#include <string>
#include <utility>

#include "addon/descriptor.h"

namespace scanbridge::guest {

void LoginObject::Define(Napi::Env env, Napi::Object exports) {
  exports.Set("LoginServer", DefineClass(env, "LoginServer",
                                         {InstanceMethod<&LoginObject::Answer>("answer"),
                                          InstanceMethod<&LoginObject::Close>("close")}));
}

LoginObject::LoginObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const auto object = info[0].As<Napi::Object>();
  LoginOptions options;
  options.address = object.Get("address").As<Napi::String>().Utf8Value();
  options.session = object.Get("session").As<Napi::String>().Utf8Value();
  options.uid = object.Get("uid").As<Napi::Number>().Uint32Value();
  options.controller = object.Get("controller").As<Napi::String>().Utf8Value();
  options.controller_pid = object.Get("controllerPid").As<Napi::Number>().Uint32Value();
  events_ =
      std::make_shared<EventSink>(info.Env(), info[1].As<Napi::Function>(), "scanbridge-login");
  LoginEvents events;
  events.ready = [sink = events_] { sink->Emit("ready"); };
  events.control = [sink = events_](const std::string& name, uint32_t pid) {
    sink->Emit("control", [name, pid](Napi::Env, Napi::Object event) {
      event.Set("name", name);
      event.Set("pid", pid);
    });
  };
  events.take = [sink = events_](uint32_t serial, uint32_t major, uint32_t minor) {
    sink->Emit("take", [=](Napi::Env, Napi::Object event) {
      event.Set("serial", serial);
      event.Set("major", major);
      event.Set("minor", minor);
    });
  };
  events.give_back = [sink = events_](uint32_t major, uint32_t minor) {
    sink->Emit("give-back", [=](Napi::Env, Napi::Object event) {
      event.Set("major", major);
      event.Set("minor", minor);
    });
  };
  events.control_lost = [sink = events_] { sink->Emit("control-lost"); };
  events.ended = [sink = events_](const std::string& reason) {
    sink->Emit("ended", [reason](Napi::Env, Napi::Object event) { event.Set("reason", reason); });
  };
  Ref();
  server_ = std::make_unique<LoginServer>(std::move(options), std::move(events));
  teardown_ = std::make_unique<Teardown>(info.Env(), [this] { Shut(); });
}

void LoginObject::Answer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  UniqueFd device;
  if (!info[1].IsNull()) {
    // The caller closes his own as soon as this returns.
    device.reset(fcntl(Descriptor::Get(info[1]), F_DUPFD_CLOEXEC, 0));
    if (!device) throw Napi::Error::New(env, "the process has no more descriptors");
  }
  if (server_) {
    server_->Answer(info[0].As<Napi::Number>().Uint32Value(), std::move(device),
                    info[2].As<Napi::String>().Utf8Value());
  }
}

void LoginObject::Close(const Napi::CallbackInfo& /*info*/) {
  Shut();
}

void LoginObject::Shut() {
  if (!server_) return;
  server_.reset();
  events_.reset();
  teardown_.reset();
  Unref();
}

}  // namespace scanbridge::guest
