// SPDX-License-Identifier: Apache-2.0
// Why a screen cast could not be opened, or ended.
#ifndef SCANBRIDGE_GUEST_SCREENCAST_FAILURE_H_
#define SCANBRIDGE_GUEST_SCREENCAST_FAILURE_H_

#include <string>

namespace scanbridge::guest {

/// See ScreenCastErrorCode in lib/errors.ts.
enum class FailureCode { kNoBus, kNoService, kNoSuchMonitor, kRefused, kTimeout, kClosed, kFailed };

struct Failure {
  FailureCode code;
  /// What happened to whom, and what to do.
  std::string message;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SCREENCAST_FAILURE_H_
