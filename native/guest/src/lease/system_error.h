// SPDX-License-Identifier: Apache-2.0
#ifndef SCANBRIDGE_GUEST_LEASE_SYSTEM_ERROR_H_
#define SCANBRIDGE_GUEST_LEASE_SYSTEM_ERROR_H_

#include <cerrno>
#include <string>
#include <system_error>

namespace scanbridge::guest {

/// What the kernel said to `what`: throws errno, as it was when this was called.
[[noreturn]] inline void ThrowErrno(const std::string& what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_LEASE_SYSTEM_ERROR_H_
