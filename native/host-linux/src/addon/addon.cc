// SPDX-License-Identifier: Apache-2.0
// What JavaScript can load: the interface Addon of lib/addon.ts.
#include <napi.h>

#include <vector>

#include "addon/js_engine.h"
#include "addon/js_surface_client.h"
#include "core/clock.h"
#include "encode/importers.h"
#include "engine/probe.h"

namespace scanbridge::host {
namespace {

/// Off the JavaScript thread: it takes a while, or for ever.
class ProbeWorker final : public Napi::AsyncWorker {
 public:
  ProbeWorker(const Napi::Function& done, const EnginePath& path)
      : Napi::AsyncWorker(done), path_(path) {}

  void Execute() override { report_ = ProbePath(path_); }

  std::vector<napi_value> GetResult(Napi::Env env) override {
    Napi::Object report = Napi::Object::New(env);
    report["works"] = !report_.error && !report_.untried;
    if (report_.untried) report["untried"] = true;
    if (report_.error) {
      report["reason"] = report_.error->message;
      if (!report_.install.empty()) report["install"] = ToJs(env, report_.install);
    } else if (!report_.untried) {
      report["codec"] = report_.codec;
      report["millisecondsPerFrame"] = report_.milliseconds_per_frame;
    }
    return {env.Null(), report};
  }

  static Napi::Array ToJs(Napi::Env env, const std::vector<std::string>& texts) {
    Napi::Array array = Napi::Array::New(env);
    for (const std::string& text : texts) array[array.Length()] = text;
    return array;
  }

 private:
  const EnginePath& path_;
  PathReport report_;
};

Napi::Value PathsToJs(const Napi::CallbackInfo& info) {
  Napi::Array paths = Napi::Array::New(info.Env());
  for (const EnginePath& path : EnginePaths()) {
    Napi::Object object = Napi::Object::New(info.Env());
    object["engine"] = path.engine;
    object["path"] = path.path;
    object["codec"] = NameOf(path.codec);
    object["hardware"] = path.hardware;
    object["input"] = path.input == PathInput::kDmaBuf ? "dmabuf" : "system";
    std::vector<std::string> elements;
    for (const ElementNeed& need : path.needs) elements.push_back(ForGpu(need.factory, {}));
    object["elements"] = ProbeWorker::ToJs(info.Env(), elements);
    paths[paths.Length()] = object;
  }
  return paths;
}

Napi::Value ImportersToJs(const Napi::CallbackInfo& info) {
  Napi::Array importers = Napi::Array::New(info.Env());
  for (const Importer& importer : FindImporters()) {
    Napi::Object object = Napi::Object::New(info.Env());
    object["element"] = importer.element;
    if (!importer.render_node.empty()) object["renderNode"] = importer.render_node;
    object["dmabuf"] = ProbeWorker::ToJs(info.Env(), importer.dmabuf);
    importers[importers.Length()] = object;
  }
  return importers;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports["Engine"] = JsEngine::Define(env);
  exports["SurfaceClient"] = JsSurfaceClient::Define(env);
  exports["paths"] = Napi::Function::New(env, PathsToJs);
  exports["importers"] = Napi::Function::New(env, ImportersToJs);
  exports["probePath"] = Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
    const EnginePath& path = EnginePaths()[info[0].As<Napi::Number>().Uint32Value()];
    (new ProbeWorker(info[1].As<Napi::Function>(), path))->Queue();
  });
  exports["monotonicNow"] = Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
    return Napi::BigInt::New(info.Env(), MonotonicNow());
  });
  return exports;
}

}  // namespace
}  // namespace scanbridge::host

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return scanbridge::host::Init(env, exports);
}

NODE_API_MODULE(scanbridge_host_linux, InitAddon)
