// SPDX-License-Identifier: Apache-2.0
// VirtioGpu and its captures for JavaScript (lib/addon.ts has their types).
#ifndef SCANBRIDGE_GUEST_ADDON_RESOURCE_OBJECTS_H_
#define SCANBRIDGE_GUEST_ADDON_RESOURCE_OBJECTS_H_

#include <napi.h>

#include <functional>
#include <memory>

#include "addon/event_sink.h"
#include "addon/teardown.h"
#include "drm/resource_stream.h"
#include "drm/virtio_gpu.h"
#include "loop/loop.h"
#include "pipewire/capture.h"
#include "server/source.h"

namespace scanbridge::guest {

class VirtioGpuObject : public Napi::ObjectWrap<VirtioGpuObject> {
 public:
  static void Define(Napi::Env env, Napi::Object exports);
  explicit VirtioGpuObject(const Napi::CallbackInfo& info);

  const std::shared_ptr<VirtioGpu>& gpu() const { return gpu_; }

 private:
  Napi::Value Path(const Napi::CallbackInfo& info);
  Napi::Value Rendering(const Napi::CallbackInfo& info);
  Napi::Value Resolve(const Napi::CallbackInfo& info);

  std::shared_ptr<VirtioGpu> gpu_;
};

/// A capture whose pictures are told as resource ids. It has a thread of its own, so that a large
/// copy keeps no other desktop waiting; calls from JavaScript are posted to it and never wait.
class ResourceCaptureObject : public Napi::ObjectWrap<ResourceCaptureObject> {
 public:
  static void Define(Napi::Env env, Napi::Object exports);
  explicit ResourceCaptureObject(const Napi::CallbackInfo& info);
  ~ResourceCaptureObject() override;

 private:
  /// What lives in the loop's thread. Destroyed with the loop's lock held.
  struct Parts {
    Source source{1};
    std::unique_ptr<ResourceStream> stream;
    std::unique_ptr<Capture> capture;
  };

  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value Resize(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value StartFrames(const Napi::CallbackInfo& info);
  Napi::Value StopFrames(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);
  Napi::Value AvoidDmaBufs(const Napi::CallbackInfo& info);
  void Post(std::function<void(Parts&)> task);
  void Shut();

  std::unique_ptr<Loop> loop_;
  std::shared_ptr<Parts> parts_;
  std::shared_ptr<EventSink> events_;
  std::unique_ptr<Teardown> teardown_;
};

/// listVirtioGpus().
Napi::Value ListVirtioGpuNodes(const Napi::CallbackInfo& info);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_RESOURCE_OBJECTS_H_
