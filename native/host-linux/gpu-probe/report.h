// SPDX-License-Identifier: Apache-2.0
// JSON on standard output: stages at once, so that it is known what a driver crashed in, and the
// result when it is whole.
#ifndef SCANBRIDGE_GPU_PROBE_REPORT_H_
#define SCANBRIDGE_GPU_PROBE_REPORT_H_

#include <stdbool.h>
#include <stdint.h>

/// Opens the one object of the result; end closes all that is open, and prints it as a line.
/// Objects and arrays nest at most eight deep.
void report_begin(void);
void report_end(void);
/// Of the object or array that is open; `name` is NULL within an array.
void report_object(const char* name);
void report_array(const char* name);
void report_close(void);
void report_text(const char* name, const char* value);
void report_number(const char* name, uint64_t value);
void report_bool(const char* name, bool value);
/// Prints a line {"stage": text}, also while a result is open: a crash or a hang after it is of
/// this stage.
void report_stage(const char* text);
/// "name": "text", formatted.
__attribute__((format(printf, 2, 3))) void report_format(const char* name, const char* format, ...);

#endif  // SCANBRIDGE_GPU_PROBE_REPORT_H_
