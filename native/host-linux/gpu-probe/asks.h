// SPDX-License-Identifier: Apache-2.0
// What can be asked. Each prints stages and one result, and may be ended by a driver at any time.
#ifndef SCANBRIDGE_GPU_PROBE_ASKS_H_
#define SCANBRIDGE_GPU_PROBE_ASKS_H_

/// GPUs by PCI address, and what libnvidia-encode does on them: a session is opened on each.
void ask_cuda(void);

/// Encoders and the video processor of one render node: a context of each is made.
void ask_va(const char* render_node);

/// EGL devices with their render nodes, and the formats and modifiers that they import.
void ask_egl(void);

/// The way of a picture on an NVIDIA GPU: a dma-buf becomes an EGL image, is drawn into a texture
/// of our own, and that one is read by CUDA; the pixels are compared.
void ask_import(unsigned long device);

#endif  // SCANBRIDGE_GPU_PROBE_ASKS_H_
