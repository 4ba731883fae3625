// SPDX-License-Identifier: Apache-2.0
// What a status of VideoToolbox means for a session, and for a person.
#ifndef SCANBRIDGE_MACOS_VIDEOTOOLBOX_STATUS_H_
#define SCANBRIDGE_MACOS_VIDEOTOOLBOX_STATUS_H_

#include <CoreFoundation/CoreFoundation.h>
#include <stdbool.h>

#include "core/error.h"

/// Fills `error` with a code of lib/errors.ts. True when a new session may help: the encoder
/// service died, or has no room at the moment.
bool sbm_status_error(OSStatus status, const char* doing, sbm_error* error);

#endif
