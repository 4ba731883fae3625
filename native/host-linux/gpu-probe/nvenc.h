// SPDX-License-Identifier: Apache-2.0
// Whether a GPU of NVIDIA has an encoder. The library loads on GPUs that have none, so a session is
// opened.
#ifndef SCANBRIDGE_GPU_PROBE_NVENC_H_
#define SCANBRIDGE_GPU_PROBE_NVENC_H_

/// Reports in the open object. `context` is a CUDA context, and current.
void nvenc_ask(void* context);

#endif  // SCANBRIDGE_GPU_PROBE_NVENC_H_
