// SPDX-License-Identifier: Apache-2.0
// Finds out which engines work, by encoding pictures.
#ifndef SCANBRIDGE_HOST_ENGINE_PROBE_H_
#define SCANBRIDGE_HOST_ENGINE_PROBE_H_

#include <optional>
#include <string>
#include <vector>

#include "core/engine_error.h"
#include "encode/engine_table.h"

namespace scanbridge::host {

/// See PathReport in lib/probe.ts.
struct PathReport {
  const EnginePath* path = nullptr;
  std::optional<EngineError> error;
  /// Its elements are there, and only a compositor's dma-buf can tell whether it works.
  bool untried = false;
  std::vector<std::string> install;
  std::string codec;
  double milliseconds_per_frame = 0;
};

/// Tries one path with a few moving pictures of 640x360. Takes at most a few seconds, unless a
/// driver hangs.
PathReport ProbePath(const EnginePath& path);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_PROBE_H_
