// SPDX-License-Identifier: Apache-2.0
// A fake libcuda.so.1: GPUS devices, or a driver that hangs (HANG), crashes (CRASH) or fails
// (FAIL). Makes the file $FAKE_ASKED when it is asked.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef GPUS
#define GPUS 1
#endif

int cuInit(unsigned flags) {
  (void)flags;
#ifdef HANG
  signal(SIGTERM, SIG_IGN);
  for (;;) pause();
#endif
#ifdef CRASH
  raise(SIGSEGV);
#endif
#ifdef FAIL
  return 803;
#endif
  const char* const asked = getenv("FAKE_ASKED");
  if (asked != NULL) fclose(fopen(asked, "w"));
  // As talkative as some real ones.
  puts("fake driver {");
  return 0;
}
int cuDriverGetVersion(int* version) {
  *version = 12040;
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = GPUS;
  return 0;
}
int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}
int cuDeviceGetName(char* name, int size, int device) {
  return snprintf(name, (size_t)size, "Fake \"%d\"", device) < 0;
}
int cuDeviceGetPCIBusId(char* address, int size, int device) {
  // CUDA counts the fastest first, not by address.
  return snprintf(address, (size_t)size, "0000:%X:00.0", device == 0 ? 0xC1 : 0x65) < 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
  *context = (char*)0 + 16 + device;
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
  (void)device;
  return 0;
}
int cuCtxSetCurrent(void* context) {
  (void)context;
  return 0;
}
int cuGetErrorName(int error, const char** name) {
  *name = error == 803 ? "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" : "CUDA_ERROR_UNKNOWN";
  return 0;
}
