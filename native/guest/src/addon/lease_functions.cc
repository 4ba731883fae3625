// SPDX-License-Identifier: Apache-2.0
#include "addon/lease_functions.h"

#include <string>
#include <vector>

#include "addon/descriptor.h"
#include "addon/guarded.h"
#include "lease/drm_master.h"
#include "lease/uevents.h"

namespace scanbridge::guest {
namespace {

Napi::Object ModeObject(Napi::Env env, const DisplayMode& mode) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("width", mode.width);
  object.Set("height", mode.height);
  object.Set("refresh", mode.refresh);
  object.Set("preferred", mode.preferred);
  return object;
}

uint32_t Field(const Napi::Object& object, const char* key) {
  return object.Get(key).As<Napi::Number>().Uint32Value();
}

Napi::Value ListVirtioGpusFunction(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env);
  for (const DrmDevice& device : ListVirtioGpus()) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("card", device.card);
    object.Set("renderNode", device.render_node);
    object.Set("address", device.address);
    object.Set("renders", device.renders);
    list.Set(list.Length(), object);
  }
  return list;
}

// openMaster(card)
Napi::Value OpenMasterFunction(const Napi::CallbackInfo& info) {
  return Descriptor::New(info.Env(), OpenMaster(info[0].As<Napi::String>().Utf8Value()));
}

// openForBuffers(card)
Napi::Value OpenForBuffersFunction(const Napi::CallbackInfo& info) {
  return Descriptor::New(info.Env(), OpenForBuffers(info[0].As<Napi::String>().Utf8Value()));
}

// listHeads(master, connector)
Napi::Value ListHeadsFunction(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env);
  for (const Head& head :
       ListHeads(Descriptor::Get(info[0]), info[1].As<Napi::Number>().Uint32Value())) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("scanout", head.scanout);
    object.Set("connector", head.connector);
    object.Set("crtc", head.crtc);
    object.Set("primary", head.primary);
    object.Set("cursor", head.cursor);
    object.Set("name", head.name);
    object.Set("connected", head.connected);
    Napi::Array modes = Napi::Array::New(env);
    for (const DisplayMode& mode : head.modes) modes.Set(modes.Length(), ModeObject(env, mode));
    object.Set("modes", modes);
    list.Set(list.Length(), object);
  }
  return list;
}

// currentMode(master, crtc)
Napi::Value CurrentModeFunction(const Napi::CallbackInfo& info) {
  const uint32_t crtc = info[1].As<Napi::Number>().Uint32Value();
  return ModeObject(info.Env(), CurrentMode(Descriptor::Get(info[0]), crtc));
}

// createLease(master, head)
Napi::Value CreateLeaseFunction(const Napi::CallbackInfo& info) {
  const auto object = info[1].As<Napi::Object>();
  Head head;
  head.connector = Field(object, "connector");
  head.crtc = Field(object, "crtc");
  head.primary = Field(object, "primary");
  head.cursor = Field(object, "cursor");
  head.name = object.Get("name").As<Napi::String>().Utf8Value();
  DrmLease lease = CreateLease(Descriptor::Get(info[0]), head);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("descriptor", Descriptor::New(info.Env(), std::move(lease.fd)));
  result.Set("lessee", lease.lessee);
  return result;
}

// listLessees(master)
Napi::Value ListLesseesFunction(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  for (const uint32_t lessee : ListLessees(Descriptor::Get(info[0]))) {
    list.Set(list.Length(), lessee);
  }
  return list;
}

// revokeLease(master, lessee)
Napi::Value RevokeLeaseFunction(const Napi::CallbackInfo& info) {
  RevokeLease(Descriptor::Get(info[0]), info[1].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

Napi::Value OpenUeventsFunction(const Napi::CallbackInfo& info) {
  return Descriptor::New(info.Env(), OpenUevents());
}

// readUevents(descriptor)
Napi::Value ReadUeventsFunction(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env);
  for (const Uevent& event : ReadUevents(Descriptor::Get(info[0]))) {
    Napi::Object object = Napi::Object::New(env);
    for (const auto& [key, value] : event) object.Set(key, value);
    list.Set(list.Length(), object);
  }
  return list;
}

}  // namespace

void DefineLeaseFunctions(Napi::Env env, Napi::Object exports) {
  Export<ListVirtioGpusFunction>(env, exports, "listVirtioGpus");
  Export<OpenMasterFunction>(env, exports, "openMaster");
  Export<OpenForBuffersFunction>(env, exports, "openForBuffers");
  Export<ListHeadsFunction>(env, exports, "listHeads");
  Export<CurrentModeFunction>(env, exports, "currentMode");
  Export<CreateLeaseFunction>(env, exports, "createLease");
  Export<ListLesseesFunction>(env, exports, "listLessees");
  Export<RevokeLeaseFunction>(env, exports, "revokeLease");
  Export<OpenUeventsFunction>(env, exports, "openUevents");
  Export<ReadUeventsFunction>(env, exports, "readUevents");
}

}  // namespace scanbridge::guest
