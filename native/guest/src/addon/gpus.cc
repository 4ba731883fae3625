// SPDX-License-Identifier: Apache-2.0
#include "addon/gpus.h"

#include <map>
#include <mutex>

namespace scanbridge::guest {

const Gpu& CachedGpu(const std::string& render_node) {
  // Node's worker threads load the addon once each, and share this.
  static std::mutex mutex;
  static std::map<std::string, Gpu> known;
  const std::lock_guard lock(mutex);
  auto found = known.find(render_node);
  if (found == known.end()) found = known.emplace(render_node, QueryGpu(render_node)).first;
  return found->second;
}

std::string FourccText(uint32_t fourcc) {
  std::string text;
  for (int i = 0; i < 4; i++) text += static_cast<char>(fourcc >> (8 * i) & 0x7f);
  return text;
}

Napi::Value ListGpus(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env);
  for (const std::string& path : ListRenderNodes()) {
    const Gpu& gpu = CachedGpu(path);
    Napi::Array formats = Napi::Array::New(env);
    for (const FormatModifiers& entry : gpu.formats) {
      Napi::Array modifiers = Napi::Array::New(env);
      for (const uint64_t modifier : entry.modifiers) {
        modifiers.Set(modifiers.Length(), Napi::BigInt::New(env, modifier));
      }
      Napi::Object format = Napi::Object::New(env);
      format.Set("format", FourccText(entry.fourcc));
      format.Set("modifiers", modifiers);
      formats.Set(formats.Length(), format);
    }
    Napi::Object object = Napi::Object::New(env);
    object.Set("path", path);
    object.Set("formats", formats);
    if (!gpu.error.empty()) object.Set("error", gpu.error);
    list.Set(list.Length(), object);
  }
  return list;
}

}  // namespace scanbridge::guest
