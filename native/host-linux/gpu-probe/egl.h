// SPDX-License-Identifier: Apache-2.0
// The part of EGL that is used here: devices, and displays on them without a window system.
#ifndef SCANBRIDGE_GPU_PROBE_EGL_H_
#define SCANBRIDGE_GPU_PROBE_EGL_H_

#include <stdbool.h>
#include <stdint.h>

enum {
  EGL_DEVICES_MAX = 16,
  EGL_EXTENSIONS_NAME = 0x3055,
  EGL_VENDOR_NAME = 0x3053,
  EGL_DRM_DEVICE_FILE = 0x3233,
  EGL_DRM_RENDER_NODE_FILE = 0x3377,
  EGL_CUDA_DEVICE = 0x323a,
  EGL_PLATFORM_DEVICE = 0x313f,
};

struct egl {
  void* library;
  void* (*get_proc_address)(const char* name);
  const char* (*query_string)(void* display, int name);
  unsigned (*initialize)(void* display, int* major, int* minor);
  unsigned (*terminate)(void* display);
  int (*get_error)(void);
  unsigned (*query_devices)(int max, void** devices, int* count);
  const char* (*device_string)(void* device, int name);
  /// NULL where the vendor has no attributes.
  unsigned (*device_attribute)(void* device, int name, intptr_t* value);
  void* (*platform_display)(unsigned platform, void* native, const int* attributes);
  void* devices[EGL_DEVICES_MAX];
  int device_count;
};

/// Loads libEGL and lists the devices. False, with "error" in the open object, when it cannot.
bool egl_open(struct egl* egl);

/// Whether a list of extensions has this one.
bool egl_has(const char* extensions, const char* name);

/// A display on a device, initialized; NULL, with "error" in the open object.
void* egl_display(const struct egl* egl, void* device);

#endif  // SCANBRIDGE_GPU_PROBE_EGL_H_
