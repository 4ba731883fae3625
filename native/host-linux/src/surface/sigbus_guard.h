// SPDX-License-Identifier: Apache-2.0
// Survives a producer that shrinks shared memory while it is read.
//
// A size check before mmap is not enough: whoever holds a descriptor without F_SEAL_SHRINK can cut
// the file later, and reading the mapping then raises SIGBUS. While a guard is alive, a SIGBUS of
// this thread inside its range puts zeroed private pages in the place of the whole range and notes
// it; reading goes on, with zeros. All other SIGBUS go to the handler that was there before.
#ifndef SCANBRIDGE_HOST_SURFACE_SIGBUS_GUARD_H_
#define SCANBRIDGE_HOST_SURFACE_SIGBUS_GUARD_H_

#include <cstddef>

namespace scanbridge::host {

/// At most one per thread at a time. `base` is page-aligned and the start of a mapping of `size`
/// bytes.
class SigbusGuard {
 public:
  SigbusGuard(void* base, size_t size);
  SigbusGuard(const SigbusGuard&) = delete;
  SigbusGuard& operator=(const SigbusGuard&) = delete;
  ~SigbusGuard();

  /// The memory was not there; the mapping holds zeros from now on.
  bool faulted() const;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_SURFACE_SIGBUS_GUARD_H_
