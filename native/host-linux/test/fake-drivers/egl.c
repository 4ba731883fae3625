// SPDX-License-Identifier: Apache-2.0
// A fake libEGL.so.1: one device that imports dma-bufs, /dev/dri/renderD128.
#include <stdint.h>
#include <string.h>

static unsigned devices(int max, void** list, int* count) {
  list[0] = (void*)&devices;
  *count = max > 0;
  return 1;
}
static const char* device_string(void* device, int name) {
  (void)device;
  return name == 0x3377   ? "/dev/dri/renderD128"
         : name == 0x3055 ? "EGL_EXT_device_drm_render_node EGL_EXT_device_drm"
                          : "/dev/dri/card0";
}
static void* display(unsigned platform, void* device, const int* attributes) {
  (void)platform, (void)attributes;
  return device;
}
static unsigned modifiers(void* d, int format, int max, uint64_t* list, unsigned* external,
                          int* count) {
  (void)d, (void)max, (void)external;
  *count = format == 0x34325258 ? 2 : 0;
  list[0] = 0;
  list[1] = 0x0300000000606010;
  return 1;
}
void* eglGetProcAddress(const char* name) {
  if (strcmp(name, "eglQueryDevicesEXT") == 0) return (void*)devices;
  if (strcmp(name, "eglQueryDeviceStringEXT") == 0) return (void*)device_string;
  if (strcmp(name, "eglGetPlatformDisplayEXT") == 0) return (void*)display;
  if (strcmp(name, "eglQueryDmaBufModifiersEXT") == 0) return (void*)modifiers;
  return 0;
}
const char* eglQueryString(void* d, int name) {
  (void)d;
  return name == 0x3055 ? "EGL_EXT_image_dma_buf_import EGL_EXT_image_dma_buf_import_modifiers"
                        : "Fake";
}
unsigned eglInitialize(void* d, int* major, int* minor) {
  *major = 1;
  *minor = 5;
  return d != 0;
}
unsigned eglTerminate(void* d) {
  return d != 0;
}
int eglGetError(void) {
  return 0x3000;
}
