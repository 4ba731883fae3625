// SPDX-License-Identifier: Apache-2.0
#include "gpu/gpu.h"

#define EGL_NO_X11
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <dlfcn.h>
#include <drm_fourcc.h>
#include <fcntl.h>
#include <gbm.h>
#include <scanbridge/surface/unique_fd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "pipewire/video_format.h"

namespace scanbridge::guest {
namespace {

/// A shared library that stays loaded: drivers do not like to be unloaded.
class Library {
 public:
  explicit Library(const char* name) : handle_(::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw std::runtime_error(std::string(name) + " is not installed");
  }

  template <typename Function>
  Function Find(const char* name) const {
    auto* symbol = reinterpret_cast<Function>(::dlsym(handle_, name));
    if (symbol == nullptr) throw std::runtime_error(std::string("no function ") + name);
    return symbol;
  }

 private:
  void* handle_;
};

/// Undoes something when it goes out of scope.
template <typename Call>
class Finally {
 public:
  explicit Finally(Call call) : call_(std::move(call)) {}
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;
  ~Finally() { call_(); }

 private:
  Call call_;
};

std::vector<FormatModifiers> QueryModifiers(EGLDisplay display, const Library& egl) {
  const auto get_proc = egl.Find<decltype(&::eglGetProcAddress)>("eglGetProcAddress");
  const auto query =
      reinterpret_cast<PFNEGLQUERYDMABUFMODIFIERSEXTPROC>(get_proc("eglQueryDmaBufModifiersEXT"));
  if (query == nullptr) throw std::runtime_error("the driver does not tell modifiers");
  std::vector<FormatModifiers> formats;
  for (const VideoFormat& format : kVideoFormats) {
    const auto fourcc = static_cast<EGLint>(format.fourcc);
    EGLint count = 0;
    if (query(display, fourcc, 0, nullptr, nullptr, &count) == EGL_FALSE || count <= 0) continue;
    std::vector<EGLuint64KHR> modifiers(static_cast<size_t>(count));
    std::vector<EGLBoolean> external(static_cast<size_t>(count));
    if (query(display, fourcc, count, modifiers.data(), external.data(), &count) == EGL_FALSE) {
      continue;
    }
    FormatModifiers entry{format.fourcc, {}};
    for (size_t i = 0; i < static_cast<size_t>(count) && i < modifiers.size(); i++) {
      // External-only layouts cannot be drawn from like a texture, which the encoders' uploads do.
      if (external[i] == EGL_FALSE) entry.modifiers.push_back(modifiers[i]);
    }
    // Drivers without modifiers share buffers whose layout only they know.
    entry.modifiers.push_back(DRM_FORMAT_MOD_INVALID);
    formats.push_back(std::move(entry));
  }
  return formats;
}

std::vector<FormatModifiers> Query(const std::string& render_node) {
  const Library gbm("libgbm.so.1");
  const Library egl("libEGL.so.1");
  const UniqueFd fd(::open(render_node.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), "cannot open " + render_node);
  gbm_device* device = gbm.Find<decltype(&::gbm_create_device)>("gbm_create_device")(fd.get());
  if (device == nullptr) throw std::runtime_error("no GBM device");
  const auto destroy = gbm.Find<decltype(&::gbm_device_destroy)>("gbm_device_destroy");
  const Finally drop_device([&] { destroy(device); });
  const auto get_proc = egl.Find<decltype(&::eglGetProcAddress)>("eglGetProcAddress");
  const auto get_display =
      reinterpret_cast<PFNEGLGETPLATFORMDISPLAYEXTPROC>(get_proc("eglGetPlatformDisplayEXT"));
  EGLDisplay display =
      get_display == nullptr ? EGL_NO_DISPLAY : get_display(EGL_PLATFORM_GBM_KHR, device, nullptr);
  if (display == EGL_NO_DISPLAY) throw std::runtime_error("no EGL display on GBM");
  if (egl.Find<decltype(&::eglInitialize)>("eglInitialize")(display, nullptr, nullptr) ==
      EGL_FALSE) {
    throw std::runtime_error("EGL does not start on this GPU");
  }
  const auto terminate = egl.Find<decltype(&::eglTerminate)>("eglTerminate");
  const Finally drop_display([&] { terminate(display); });
  return QueryModifiers(display, egl);
}

}  // namespace

std::vector<std::string> ListRenderNodes() {
  std::vector<std::string> nodes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/dri", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("renderD")) nodes.push_back(entry.path().string());
  }
  std::ranges::sort(nodes);
  return nodes;
}

Gpu QueryGpu(const std::string& render_node) {
  Gpu gpu;
  gpu.path = render_node;
  try {
    gpu.formats = Query(render_node);
    if (gpu.formats.empty()) gpu.error = "the driver imports none of the formats of captures";
  } catch (const std::exception& error) {
    gpu.error = error.what();
  }
  return gpu;
}

}  // namespace scanbridge::guest
