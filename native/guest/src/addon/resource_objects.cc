// SPDX-License-Identifier: Apache-2.0
#include "addon/resource_objects.h"

#include <drm_fourcc.h>

#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "addon/capture_events.h"
#include "addon/gpus.h"
#include "pipewire/video_format.h"

namespace scanbridge::guest {
namespace {

const char* Name(DrmErrorCode code) {
  switch (code) {
    case DrmErrorCode::kNoVirtioGpu:
      return "NO_VIRTIO_GPU";
    case DrmErrorCode::kNoAccess:
      return "NO_ACCESS";
    case DrmErrorCode::kDriverTooOld:
      return "DRIVER_TOO_OLD";
    case DrmErrorCode::kNotDmaBuf:
      return "NOT_DMABUF";
    case DrmErrorCode::kNotOfThisGpu:
      return "NOT_OF_THIS_GPU";
    case DrmErrorCode::kNoMemory:
      return "NO_MEMORY";
    case DrmErrorCode::kFailed:
      return "FAILED";
  }
  return "FAILED";
}

/// What the GPU can import. A device that does not render is not asked, as OpenGL would only be
/// loaded to say LINEAR.
std::vector<FormatModifiers> OfferedModifiers(const VirtioGpu& gpu) {
  std::vector<FormatModifiers> formats;
  if (gpu.features().rendering) formats = CachedGpu(gpu.path()).formats;
  if (!formats.empty()) return formats;
  for (const VideoFormat& format : kVideoFormats) {
    formats.push_back({format.fourcc, {DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_INVALID}});
  }
  return formats;
}

uint64_t Sequence(const Napi::Value& value) {
  return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
}

void FillGeometry(Napi::Env env, Napi::Object event, const ResourceGeometry& geometry) {
  event.Set("resource", geometry.resource);
  event.Set("width", geometry.width);
  event.Set("height", geometry.height);
  event.Set("stride", geometry.stride);
  event.Set("offset", static_cast<double>(geometry.offset));
  event.Set("format", geometry.format);
  event.Set("modifier", Napi::BigInt::New(env, geometry.modifier));
  event.Set("backing", geometry.backing);
}

void FillFrame(Napi::Env env, Napi::Object event, const ResourceFrame& frame) {
  event.Set("resource", frame.resource);
  event.Set("sequence", static_cast<double>(frame.sequence));
  event.Set("pts", static_cast<double>(frame.pts / 1000));
  if (!frame.damage) return;
  Napi::Object damage = Napi::Object::New(env);
  damage.Set("x", frame.damage->x);
  damage.Set("y", frame.damage->y);
  damage.Set("width", frame.damage->width);
  damage.Set("height", frame.damage->height);
  event.Set("damage", damage);
}

ResourceStream::Events MakeStreamEvents(const std::shared_ptr<EventSink>& sink) {
  ResourceStream::Events events;
  events.geometry = [sink](const ResourceGeometry& geometry) {
    sink->Emit("geometry", [geometry](Napi::Env env, Napi::Object event) {
      FillGeometry(env, event, geometry);
    });
  };
  events.frame = [sink](const ResourceFrame& frame) {
    sink->Emit("frame",
               [frame](Napi::Env env, Napi::Object event) { FillFrame(env, event, frame); });
  };
  events.gone = [sink](uint32_t resource) {
    sink->Emit("gone",
               [resource](Napi::Env, Napi::Object event) { event.Set("resource", resource); });
  };
  events.waiting = [sink] { sink->Emit("pause"); };
  return events;
}

}  // namespace

void VirtioGpuObject::Define(Napi::Env env, Napi::Object exports) {
  exports.Set("VirtioGpu",
              DefineClass(env, "VirtioGpu",
                          {
                              InstanceAccessor<&VirtioGpuObject::Path>("path"),
                              InstanceAccessor<&VirtioGpuObject::Rendering>("rendering"),
                              InstanceMethod<&VirtioGpuObject::Resolve>("resolve"),
                          }));
}

VirtioGpuObject::VirtioGpuObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  try {
    gpu_ = VirtioGpu::Open(info[0].As<Napi::String>().Utf8Value());
  } catch (const DrmError& error) {
    ThrowCoded(info.Env(), Name(error.code()), error.what());
  }
}

Napi::Value VirtioGpuObject::Path(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), gpu_->path());
}

Napi::Value VirtioGpuObject::Rendering(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), gpu_->features().rendering);
}

Napi::Value VirtioGpuObject::Resolve(const Napi::CallbackInfo& info) {
  try {
    const ResolvedBuffer buffer = gpu_->Resolve(info[0].As<Napi::Number>().Int32Value());
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("resource", buffer.resource);
    object.Set("size", buffer.size);
    return object;
  } catch (const DrmError& error) {
    ThrowCoded(info.Env(), Name(error.code()), error.what());
  }
}

void ResourceCaptureObject::Define(Napi::Env env, Napi::Object exports) {
  exports.Set("ResourceCapture",
              DefineClass(env, "ResourceCapture",
                          {
                              InstanceMethod<&ResourceCaptureObject::Stats>("stats"),
                              InstanceMethod<&ResourceCaptureObject::Resize>("resize"),
                              InstanceMethod<&ResourceCaptureObject::Close>("close"),
                              InstanceMethod<&ResourceCaptureObject::StartFrames>("start"),
                              InstanceMethod<&ResourceCaptureObject::StopFrames>("stop"),
                              InstanceMethod<&ResourceCaptureObject::Release>("release"),
                              InstanceMethod<&ResourceCaptureObject::AvoidDmaBufs>("avoidDmaBufs"),
                          }));
}

ResourceCaptureObject::ResourceCaptureObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const std::shared_ptr<VirtioGpu> gpu = VirtioGpuObject::Unwrap(info[0].As<Napi::Object>())->gpu();
  CaptureOptions options = ReadCaptureOptions(info[1].As<Napi::Object>());
  options.offer.gpu = OfferedModifiers(*gpu);
  options.render_node = gpu->path();
  options.resolve = [gpu](int dmabuf) { return gpu->Resolve(dmabuf).resource; };
  events_ = std::make_shared<EventSink>(info.Env(), info[2].As<Napi::Function>(),
                                        "scanbridge-resource-capture");
  Capture::Events events = MakeCaptureEvents(events_, [this] { Shut(); });
  events.buffer = [sink = events_](uint32_t resource, bool dmabuf) {
    sink->Emit("buffer", [resource, dmabuf](Napi::Env, Napi::Object event) {
      event.Set("resource", resource);
      event.Set("kind", dmabuf ? "dmabuf" : "memfd");
    });
  };
  events.fallback = [sink = events_](const std::string& reason) {
    sink->Emit("fallback",
               [reason](Napi::Env, Napi::Object event) { event.Set("reason", reason); });
  };
  try {
    loop_ = std::make_unique<Loop>("scanbridge-resource");
  } catch (const std::system_error& error) {
    ThrowCoded(info.Env(), "NO_MEMORY", error.what());
  }
  parts_ = std::make_shared<Parts>();
  {
    const Loop::Lock lock(*loop_);
    ResourceStream::Events stream = MakeStreamEvents(events_);
    Parts* parts = parts_.get();
    stream.error = [parts](const DrmError& error) {
      parts->capture->Abandon(CaptureErrorCode::kNoMemory, error.what());
    };
    parts_->stream =
        std::make_unique<ResourceStream>(*loop_, parts_->source, gpu, std::move(stream));
    parts_->capture =
        std::make_unique<Capture>(*loop_, parts_->source, std::move(options), std::move(events));
  }
  // The object must outlive the capture's thread, so JavaScript may not collect it until the end.
  Ref();
  teardown_ = std::make_unique<Teardown>(Env(), [this] { Shut(); });
}

ResourceCaptureObject::~ResourceCaptureObject() {
  Shut();
}

void ResourceCaptureObject::Post(std::function<void(Parts&)> task) {
  if (!parts_) return;
  loop_->Post([weak = std::weak_ptr<Parts>(parts_), task = std::move(task)] {
    if (const auto parts = weak.lock()) task(*parts);
  });
}

Napi::Value ResourceCaptureObject::StartFrames(const Napi::CallbackInfo& info) {
  // Events of an earlier start may still be on their way; those of this one follow its token.
  Post([sink = events_, token = info[0].As<Napi::Number>().Uint32Value()](Parts& parts) {
    sink->Emit("started", [token](Napi::Env, Napi::Object event) { event.Set("token", token); });
    parts.stream->Start();
  });
  return info.Env().Undefined();
}

Napi::Value ResourceCaptureObject::StopFrames(const Napi::CallbackInfo& info) {
  Post([](Parts& parts) { parts.stream->Stop(); });
  return info.Env().Undefined();
}

Napi::Value ResourceCaptureObject::Release(const Napi::CallbackInfo& info) {
  Post([sequence = Sequence(info[0])](Parts& parts) { parts.stream->Release(sequence); });
  return info.Env().Undefined();
}

Napi::Value ResourceCaptureObject::AvoidDmaBufs(const Napi::CallbackInfo& info) {
  Post([reason = info[0].As<Napi::String>().Utf8Value()](Parts& parts) {
    parts.capture->AvoidDmaBufs(reason);
  });
  return info.Env().Undefined();
}

Napi::Value ResourceCaptureObject::Resize(const Napi::CallbackInfo& info) {
  Post([width = info[0].As<Napi::Number>().Uint32Value(),
        height = info[1].As<Napi::Number>().Uint32Value()](Parts& parts) {
    parts.capture->Resize(width, height);
  });
  return info.Env().Undefined();
}

Napi::Value ResourceCaptureObject::Close(const Napi::CallbackInfo& info) {
  Post([](Parts& parts) { parts.capture->Close(); });
  return info.Env().Undefined();
}

Napi::Value ResourceCaptureObject::Stats(const Napi::CallbackInfo& info) {
  Source::Counters counters;
  Capture::PoolCounters pool;
  ResourceStream::Counters stream;
  if (parts_) {
    const Loop::Lock lock(*loop_);
    counters = parts_->source.counters();
    pool = parts_->capture->pool();
    stream = parts_->stream->counters();
  }
  Napi::Object stats = MakeCaptureStats(info.Env(), counters, pool, parts_ ? 1 : 0);
  stats.Set("copied", static_cast<double>(stream.copied));
  stats.Set("late", static_cast<double>(stream.late));
  stats.Set("stuck", static_cast<double>(stream.stuck));
  return stats;
}

void ResourceCaptureObject::Shut() {
  if (!parts_) return;
  {
    const Loop::Lock lock(*loop_);
    parts_->capture.reset();
    parts_->stream.reset();
    parts_.reset();
  }
  loop_.reset();
  events_.reset();
  teardown_.reset();
  Unref();
}

Napi::Value ListVirtioGpuNodes(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  for (const VirtioGpuNode& node : ListVirtioGpus()) {
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("path", node.path);
    if (!node.error.empty()) object.Set("error", node.error);
    list.Set(list.Length(), object);
  }
  return list;
}

}  // namespace scanbridge::guest
