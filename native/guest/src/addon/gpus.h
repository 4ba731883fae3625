// SPDX-License-Identifier: Apache-2.0
// GPUs for JavaScript.
#ifndef SCANBRIDGE_GUEST_ADDON_GPUS_H_
#define SCANBRIDGE_GUEST_ADDON_GPUS_H_

#include <napi.h>

#include <cstdint>
#include <string>

#include "gpu/gpu.h"

namespace scanbridge::guest {

/// QueryGpu, asked once for each node. In JavaScript's thread.
const Gpu& CachedGpu(const std::string& render_node);

/// "XR24" for its code.
std::string FourccText(uint32_t fourcc);

/// listGpus().
Napi::Value ListGpus(const Napi::CallbackInfo& info);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_ADDON_GPUS_H_
