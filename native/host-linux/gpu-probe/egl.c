// SPDX-License-Identifier: Apache-2.0
#include "egl.h"

#include <stddef.h>
#include <string.h>

#include "asks.h"
#include "library.h"
#include "report.h"

enum { FORMATS_MAX = 256, MODIFIERS_MAX = 128 };

/// Formats that desktops are drawn in: DRM fourccs.
static const struct {
  const char* name;
  int fourcc;
} kFormats[] = {{"XR24", 0x34325258}, {"AR24", 0x34325241}, {"XB24", 0x34324258}};

bool egl_has(const char* extensions, const char* name) {
  const size_t length = strlen(name);
  for (const char* at = extensions; at != NULL && (at = strstr(at, name)) != NULL; at += length) {
    const bool starts = at == extensions || at[-1] == ' ';
    if (starts && (at[length] == ' ' || at[length] == 0)) return true;
  }
  return false;
}

/// Of eglGetProcAddress; false, with "error" in the open object.
static bool take(const struct egl* egl, const char* name, void* function) {
  void* const address = egl->get_proc_address(name);
  memcpy(function, &address, sizeof address);
  if (address == NULL) report_format("error", "EGL has no %s", name);
  return address != NULL;
}

bool egl_open(struct egl* egl) {
  memset(egl, 0, sizeof *egl);
  egl->library = library_load("libEGL.so.1");
  if (egl->library == NULL) return false;
  if (!library_symbol(egl->library, "eglGetProcAddress", &egl->get_proc_address) ||
      !library_symbol(egl->library, "eglQueryString", &egl->query_string) ||
      !library_symbol(egl->library, "eglInitialize", &egl->initialize) ||
      !library_symbol(egl->library, "eglTerminate", &egl->terminate) ||
      !library_symbol(egl->library, "eglGetError", &egl->get_error) ||
      !take(egl, "eglQueryDevicesEXT", &egl->query_devices) ||
      !take(egl, "eglQueryDeviceStringEXT", &egl->device_string) ||
      !take(egl, "eglGetPlatformDisplayEXT", &egl->platform_display)) {
    return false;
  }
  void* const attribute = egl->get_proc_address("eglQueryDeviceAttribEXT");
  memcpy(&egl->device_attribute, &attribute, sizeof attribute);
  report_stage("listing EGL devices");
  if (!egl->query_devices(EGL_DEVICES_MAX, egl->devices, &egl->device_count)) {
    report_format("error", "EGL cannot list devices: 0x%x", (unsigned)egl->get_error());
    return false;
  }
  return true;
}

void* egl_display(const struct egl* egl, void* device) {
  int major = 0;
  int minor = 0;
  void* const display = egl->platform_display(EGL_PLATFORM_DEVICE, device, NULL);
  if (display == NULL || !egl->initialize(display, &major, &minor)) {
    report_format("error", "EGL does not start on it: 0x%x", (unsigned)egl->get_error());
    return NULL;
  }
  return display;
}

static void report_modifiers(const struct egl* egl, void* display) {
  unsigned (*query)(void*, int, int, uint64_t*, unsigned*, int*);
  const char* const extensions = egl->query_string(display, EGL_EXTENSIONS_NAME);
  const bool imports = egl_has(extensions, "EGL_EXT_image_dma_buf_import");
  report_bool("imports", imports);
  report_bool("exports", egl_has(extensions, "EGL_MESA_image_dma_buf_export"));
  if (!imports || !egl_has(extensions, "EGL_EXT_image_dma_buf_import_modifiers")) return;
  void* const address = egl->get_proc_address("eglQueryDmaBufModifiersEXT");
  memcpy(&query, &address, sizeof address);
  if (query == NULL) return;
  report_object("formats");
  for (size_t i = 0; i < sizeof kFormats / sizeof kFormats[0]; i++) {
    uint64_t modifiers[MODIFIERS_MAX];
    unsigned external[MODIFIERS_MAX];
    int count = 0;
    if (!query(display, kFormats[i].fourcc, MODIFIERS_MAX, modifiers, external, &count)) continue;
    report_array(kFormats[i].name);
    for (int k = 0; k < count && k < MODIFIERS_MAX; k++) {
      // As text: JSON's numbers are too small for them.
      report_format(NULL, "0x%016llx", (unsigned long long)modifiers[k]);
    }
    report_close();
  }
  report_close();
}

static void ask_device(const struct egl* egl, void* device) {
  report_object(NULL);
  const char* const extensions = egl->device_string(device, EGL_EXTENSIONS_NAME);
  report_bool("software", egl_has(extensions, "EGL_MESA_device_software"));
  if (egl_has(extensions, "EGL_EXT_device_drm")) {
    const char* const node = egl->device_string(device, EGL_DRM_DEVICE_FILE);
    if (node != NULL) report_text("node", node);
  }
  if (egl_has(extensions, "EGL_EXT_device_drm_render_node")) {
    const char* const node = egl->device_string(device, EGL_DRM_RENDER_NODE_FILE);
    if (node != NULL) report_text("renderNode", node);
  }
  intptr_t ordinal = 0;
  if (egl->device_attribute != NULL && egl_has(extensions, "EGL_NV_device_cuda") &&
      egl->device_attribute(device, EGL_CUDA_DEVICE, &ordinal)) {
    report_number("cuda", (uint64_t)ordinal);
  }
  report_stage("starting EGL on a device");
  void* const display = egl_display(egl, device);
  if (display != NULL) {
    const char* const vendor = egl->query_string(display, EGL_VENDOR_NAME);
    if (vendor != NULL) report_text("vendor", vendor);
    report_modifiers(egl, display);
    egl->terminate(display);
  }
  report_close();
}

void ask_egl(void) {
  struct egl egl;
  report_stage("loading libEGL.so.1");
  report_begin();
  report_object("result");
  if (egl_open(&egl)) {
    report_array("devices");
    for (int i = 0; i < egl.device_count; i++) ask_device(&egl, egl.devices[i]);
    report_close();
  }
  report_end();
}
