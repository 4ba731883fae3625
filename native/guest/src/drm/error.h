// SPDX-License-Identifier: Apache-2.0
#ifndef SCANBRIDGE_GUEST_DRM_ERROR_H_
#define SCANBRIDGE_GUEST_DRM_ERROR_H_

#include <stdexcept>
#include <string>

namespace scanbridge::guest {

enum class DrmErrorCode {
  /// No DRM render node of this machine belongs to a virtio-gpu.
  kNoVirtioGpu,
  /// There is one, but this user may not open it.
  kNoAccess,
  /// The kernel's driver lacks what is needed.
  kDriverTooOld,
  /// The descriptor is something else.
  kNotDmaBuf,
  /// A dma-buf whose memory another device has.
  kNotOfThisGpu,
  /// A limit of this process, the guest or the device is reached.
  kNoMemory,
  /// Anything else; the message has the system's reason.
  kFailed,
};

/// What a GPU could not do; the message says what happened and what to do about it.
class DrmError : public std::runtime_error {
 public:
  DrmError(DrmErrorCode code, const std::string& message)
      : std::runtime_error(message), code_(code) {}

  DrmErrorCode code() const { return code_; }

 private:
  DrmErrorCode code_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_DRM_ERROR_H_
