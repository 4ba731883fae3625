// SPDX-License-Identifier: Apache-2.0
// Which layouts of memory the machine's GPUs can import.
#ifndef SCANBRIDGE_GUEST_GPU_GPU_H_
#define SCANBRIDGE_GUEST_GPU_GPU_H_

#include <string>
#include <vector>

#include "pipewire/params.h"

namespace scanbridge::guest {

struct Gpu {
  /// DRM render node.
  std::string path;
  std::vector<FormatModifiers> formats;
  /// Why `formats` is empty.
  std::string error;
};

/// Render nodes of this machine, in order of their numbers.
std::vector<std::string> ListRenderNodes();

/// Asks the GPU's driver through GBM and EGL, which are loaded at run time: this process works
/// without them, and on machines without a GPU. Takes tens of milliseconds; the answer does not
/// change while the process runs.
Gpu QueryGpu(const std::string& render_node);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_GPU_GPU_H_
