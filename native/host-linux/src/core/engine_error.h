// SPDX-License-Identifier: Apache-2.0
// An error as JavaScript sees it.
#ifndef SCANBRIDGE_HOST_CORE_ENGINE_ERROR_H_
#define SCANBRIDGE_HOST_CORE_ENGINE_ERROR_H_

#include <string>

namespace scanbridge::host {

/// Codes are listed in lib/errors.ts.
struct EngineError {
  std::string code;
  /// What happened to whom, one sentence.
  std::string message;
  /// What to do, one sentence.
  std::string remedy;
  /// GStreamer element and its details; empty when there is none.
  std::string element = {};
  std::string debug = {};
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_CORE_ENGINE_ERROR_H_
