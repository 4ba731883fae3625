// SPDX-License-Identifier: Apache-2.0
#include "cuda.h"

#include <stddef.h>

#include "asks.h"
#include "library.h"
#include "nvenc.h"
#include "report.h"

const char* cuda_name(const struct cuda* cuda, CuResult result) {
  const char* name = NULL;
  if (cuda->error_name(result, &name) == 0 && name != NULL) return name;
  return "an unknown CUDA error";
}

bool cuda_open(struct cuda* cuda) {
  cuda->library = library_load("libcuda.so.1");
  if (cuda->library == NULL) return false;
  const struct {
    const char* symbol;
    void* function;
  } needed[] = {
      {"cuInit", &cuda->init},
      {"cuDriverGetVersion", &cuda->driver_version},
      {"cuDeviceGetCount", &cuda->device_count},
      {"cuDeviceGet", &cuda->device_get},
      {"cuDeviceGetName", &cuda->device_name},
      {"cuDeviceGetPCIBusId", &cuda->device_pci},
      {"cuDevicePrimaryCtxRetain", &cuda->retain},
      {"cuDevicePrimaryCtxRelease_v2", &cuda->release},
      {"cuCtxSetCurrent", &cuda->set_current},
      {"cuGetErrorName", &cuda->error_name},
  };
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    if (!library_symbol(cuda->library, needed[i].symbol, needed[i].function)) return false;
  }
  const CuResult result = cuda->init(0);
  if (result != 0) {
    report_text("error", cuda_name(cuda, result));
    return false;
  }
  return true;
}

static void ask_device(const struct cuda* cuda, int ordinal) {
  char text[128] = "";
  CuDevice device = 0;
  CuContext context = NULL;
  report_stage("making a CUDA context");
  report_object(NULL);
  report_number("ordinal", (uint64_t)ordinal);
  CuResult result = cuda->device_get(&device, ordinal);
  if (result == 0) {
    if (cuda->device_name(text, sizeof text - 1, device) == 0) report_text("name", text);
    if (cuda->device_pci(text, sizeof text - 1, device) == 0) report_text("pci", text);
    result = cuda->retain(&context, device);
  }
  if (result == 0) result = cuda->set_current(context);
  if (result != 0) {
    report_text("error", cuda_name(cuda, result));
  } else {
    report_object("encoder");
    nvenc_ask(context);
    report_close();
  }
  if (context != NULL) cuda->release(device);
  report_close();
}

void ask_cuda(void) {
  struct cuda cuda;
  report_stage("loading libcuda.so.1");
  report_begin();
  report_object("result");
  if (cuda_open(&cuda)) {
    int version = 0;
    int count = 0;
    if (cuda.driver_version(&version) == 0) {
      report_format("version", "%d.%d", version / 1000, version % 1000 / 10);
    }
    const CuResult result = cuda.device_count(&count);
    if (result != 0) report_text("error", cuda_name(&cuda, result));
    report_array("devices");
    for (int i = 0; i < count && i < 64; i++) ask_device(&cuda, i);
    report_close();
  }
  report_end();
}
