// SPDX-License-Identifier: Apache-2.0
// Vendors' libraries, loaded at run time.
#ifndef SCANBRIDGE_GPU_PROBE_LIBRARY_H_
#define SCANBRIDGE_GPU_PROBE_LIBRARY_H_

#include <stdbool.h>

/// Loads a library and reports what became of it as {"library", "loaded", "file", "error"} in the
/// open object. NULL: it is not there, or not whole. It stays loaded until the process ends.
void* library_load(const char* name);

/// Fills the function pointer at `function`; false, with "error" in the open object, when it is
/// missing.
bool library_symbol(void* library, const char* symbol, void* function);

#endif  // SCANBRIDGE_GPU_PROBE_LIBRARY_H_
