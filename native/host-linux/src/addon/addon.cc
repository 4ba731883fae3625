// SPDX-License-Identifier: Apache-2.0
// What JavaScript can load: the interface Addon of lib/addon.ts.
#include <napi.h>

#include <vector>

#include "addon/js_engine.h"
#include "addon/js_surface_client.h"
#include "core/clock.h"
#include "engine/probe.h"

namespace scanbridge::host {
namespace {

/// Off the JavaScript thread: it takes a while.
class ProbeWorker final : public Napi::AsyncWorker {
 public:
  explicit ProbeWorker(const Napi::Function& done) : Napi::AsyncWorker(done) {}

  void Execute() override {
    for (const EnginePath& path : EnginePaths()) reports_.push_back(ProbePath(path));
  }

  std::vector<napi_value> GetResult(Napi::Env env) override {
    Napi::Array engines = Napi::Array::New(env);
    Napi::Object engine;
    Napi::Array paths;
    const char* name = nullptr;
    for (const PathReport& report : reports_) {
      if (name == nullptr || std::string_view(name) != report.path->engine) {
        name = report.path->engine;
        paths = Napi::Array::New(env);
        engine = Napi::Object::New(env);
        engine["engine"] = name;
        engine["codec"] = "h264";
        engine["works"] = false;
        engine["paths"] = paths;
        engines[engines.Length()] = engine;
      }
      paths[paths.Length()] = PathToJs(env, report);
      if (!report.error) engine["works"] = true;
    }
    return {env.Null(), engines};
  }

 private:
  static Napi::Object PathToJs(Napi::Env env, const PathReport& report) {
    Napi::Object path = Napi::Object::New(env);
    path["path"] = report.path->path;
    path["works"] = !report.error;
    Napi::Array elements = Napi::Array::New(env);
    for (const ElementNeed& need : report.path->needs) elements[elements.Length()] = need.factory;
    path["elements"] = elements;
    if (report.error) {
      path["reason"] = report.error->message;
      if (!report.install.empty()) {
        Napi::Array install = Napi::Array::New(env);
        for (const std::string& package : report.install) install[install.Length()] = package;
        path["install"] = install;
      }
    } else {
      path["codec"] = report.codec;
      path["millisecondsPerFrame"] = report.milliseconds_per_frame;
    }
    return path;
  }

  std::vector<PathReport> reports_;
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports["Engine"] = JsEngine::Define(env);
  exports["SurfaceClient"] = JsSurfaceClient::Define(env);
  exports["probe"] = Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
    (new ProbeWorker(info[0].As<Napi::Function>()))->Queue();
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
