// SPDX-License-Identifier: Apache-2.0
// How a surface connection failed.
#ifndef SCANBRIDGE_SURFACE_ERROR_H_
#define SCANBRIDGE_SURFACE_ERROR_H_

#include <scanbridge/surface.h>

#include <cstdint>
#include <string>

namespace scanbridge::surface {

/// Failure of a connection. Either the peer broke the protocol (`code` is set), or the operating
/// system failed (`code` is NONE and `system` is an errno).
struct Error {
  sb_surface_error code = SB_SURFACE_ERROR_NONE;
  int system = 0;
  /// One sentence for a person.
  std::string text;
};

/// Name of a code as docs/protocols/surface.md spells it, "BAD_FDS" for instance. "UNKNOWN" for
/// numbers that this version of the protocol does not have.
const char* ErrorName(uint32_t code);

}  // namespace scanbridge::surface

#endif  // SCANBRIDGE_SURFACE_ERROR_H_
