// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

void sbm_error_set(sbm_error* error, const char* code, const char* remedy, const char* format,
                   ...) {
  if (error == NULL) return;
  error->status = 0;
  (void)snprintf(error->code, sizeof error->code, "%s", code);
  (void)snprintf(error->remedy, sizeof error->remedy, "%s", remedy);
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
}
