// SPDX-License-Identifier: Apache-2.0
#include <scanbridge/surface/error.h>

namespace scanbridge::surface {

const char* ErrorName(uint32_t code) {
  // No default: a code that is added to the schema and not here is a compiler warning, so an error.
  switch (static_cast<sb_surface_error>(code)) {
    case SB_SURFACE_ERROR_NONE:
      return "NONE";
    case SB_SURFACE_ERROR_BAD_MAGIC:
      return "BAD_MAGIC";
    case SB_SURFACE_ERROR_BAD_VERSION:
      return "BAD_VERSION";
    case SB_SURFACE_ERROR_BAD_LENGTH:
      return "BAD_LENGTH";
    case SB_SURFACE_ERROR_BAD_TYPE:
      return "BAD_TYPE";
    case SB_SURFACE_ERROR_BAD_FDS:
      return "BAD_FDS";
    case SB_SURFACE_ERROR_BAD_VALUE:
      return "BAD_VALUE";
    case SB_SURFACE_ERROR_BAD_STATE:
      return "BAD_STATE";
    case SB_SURFACE_ERROR_BAD_STREAM:
      return "BAD_STREAM";
    case SB_SURFACE_ERROR_TOO_MANY:
      return "TOO_MANY";
    case SB_SURFACE_ERROR_NO_SUCH_SCANOUT:
      return "NO_SUCH_SCANOUT";
    case SB_SURFACE_ERROR_NO_SUCH_RESOURCE:
      return "NO_SUCH_RESOURCE";
    case SB_SURFACE_ERROR_RESOURCE_MISMATCH:
      return "RESOURCE_MISMATCH";
    case SB_SURFACE_ERROR_NO_SUCH_CAPTURE:
      return "NO_SUCH_CAPTURE";
    case SB_SURFACE_ERROR_UNSUPPORTED:
      return "UNSUPPORTED";
    case SB_SURFACE_ERROR_NO_MEMORY:
      return "NO_MEMORY";
    case SB_SURFACE_ERROR_SOURCE_FAILED:
      return "SOURCE_FAILED";
    case SB_SURFACE_ERROR_DENIED:
      return "DENIED";
    case SB_SURFACE_ERROR_BAD_RELEASE:
      return "BAD_RELEASE";
  }
  return "UNKNOWN";
}

}  // namespace scanbridge::surface
