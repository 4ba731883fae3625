// SPDX-License-Identifier: Apache-2.0
// The part of the CUDA driver API that is used here.
#ifndef SCANBRIDGE_GPU_PROBE_CUDA_H_
#define SCANBRIDGE_GPU_PROBE_CUDA_H_

#include <stdbool.h>

typedef int CuResult;
typedef int CuDevice;
typedef void* CuContext;

struct cuda {
  void* library;
  CuResult (*init)(unsigned flags);
  CuResult (*driver_version)(int* version);
  CuResult (*device_count)(int* count);
  CuResult (*device_get)(CuDevice* device, int ordinal);
  CuResult (*device_name)(char* name, int size, CuDevice device);
  CuResult (*device_pci)(char* address, int size, CuDevice device);
  CuResult (*retain)(CuContext* context, CuDevice device);
  CuResult (*release)(CuDevice device);
  CuResult (*set_current)(CuContext context);
  CuResult (*error_name)(CuResult result, const char** name);
};

/// Loads libcuda and initializes it. False, with "error" in the open object, when there is no CUDA
/// here.
bool cuda_open(struct cuda* cuda);

/// The name of a result, e.g. "CUDA_ERROR_NO_DEVICE".
const char* cuda_name(const struct cuda* cuda, CuResult result);

#endif  // SCANBRIDGE_GPU_PROBE_CUDA_H_
