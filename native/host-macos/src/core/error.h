// SPDX-License-Identifier: Apache-2.0
// An error as JavaScript sees it.
#ifndef SCANBRIDGE_MACOS_CORE_ERROR_H_
#define SCANBRIDGE_MACOS_CORE_ERROR_H_

#include <stdint.h>

/// Codes are listed in lib/errors.ts; an empty one means that nothing happened.
typedef struct {
  char code[32];
  /// What happened to whom, one sentence.
  char message[256];
  /// What to do, one sentence.
  char remedy[192];
  /// The OSStatus behind it, or 0.
  int32_t status;
} sbm_error;

/// Fills an error; texts that are too long are cut. `error` may be NULL.
void sbm_error_set(sbm_error* error, const char* code, const char* remedy, const char* format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
