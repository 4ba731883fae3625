// SPDX-License-Identifier: Apache-2.0
// A fake libva.so.2 and libva-drm.so.2 in one. The driver of /dev/dri/renderD128 has H.264 and
// low-power HEVC, another node's hangs.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int hangs;

void* vaGetDisplayDRM(int fd) {
  char link[64];
  char path[256] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (readlink(link, path, sizeof path - 1) < 0) return 0;
  hangs = strstr(path, "renderD128") == 0;
  return &hangs;
}
void* vaSetInfoCallback(void* d, void* c, void* u) {
  return d == c ? u : 0;
}
void* vaSetErrorCallback(void* d, void* c, void* u) {
  return d == c ? u : 0;
}
int vaInitialize(void* d, int* major, int* minor) {
  while (*(int*)d) pause();
  *major = 1;
  *minor = 17;
  return 0;
}
const char* vaQueryVendorString(void* d) {
  return d ? "Fake driver for Fake Arc (DG2) - 1.0" : 0;
}
int vaMaxNumEntrypoints(void* d) {
  return d ? 4 : 0;
}
int vaQueryConfigEntrypoints(void* d, int profile, int* list, int* count) {
  (void)d;
  *count = 1;
  list[0] = profile == -1 ? 10 : profile == 17 ? 8 : 6;
  return profile == -1 || profile == 13 || profile == 7 || profile == 17 ? 0 : 12;
}
int vaGetConfigAttributes(void* d, int p, int e, unsigned* list, int count) {
  (void)d, (void)p, (void)e;
  for (int i = 0; i < count; i++) list[2 * i + 1] = 4096;
  return 0;
}
int vaCreateConfig(void* d, int p, int e, void* a, int n, unsigned* config) {
  (void)d, (void)p, (void)e, (void)a, (void)n;
  *config = 1;
  return 0;
}
int vaCreateSurfaces(void* d, unsigned f, unsigned w, unsigned h, unsigned* s, unsigned n, void* a,
                     unsigned k) {
  (void)d, (void)f, (void)w, (void)h, (void)n, (void)a, (void)k;
  *s = 2;
  return 0;
}
int vaCreateContext(void* d, unsigned c, int w, int h, int f, unsigned* s, int n, unsigned* x) {
  (void)d, (void)c, (void)w, (void)h, (void)f, (void)s, (void)n;
  *x = 3;
  return 0;
}
int vaDestroyContext(void* d, unsigned x) {
  return d == 0 && x;
}
int vaDestroySurfaces(void* d, unsigned* s, int n) {
  return d == 0 && s && n;
}
int vaDestroyConfig(void* d, unsigned c) {
  return d == 0 && c;
}
const char* vaErrorStr(int status) {
  return status == 0 ? "success" : "unknown libva error";
}
