// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "library.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "report.h"

void* library_load(const char* name) {
  void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  report_text("library", name);
  report_bool("loaded", library != NULL);
  if (library == NULL) {
    const char* const why = dlerror();
    report_text("error", why != NULL ? why : "unknown");
    return NULL;
  }
  struct link_map* map = NULL;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) == 0) report_text("file", map->l_name);
  return library;
}

bool library_symbol(void* library, const char* symbol, void* function) {
  void* const address = dlsym(library, symbol);
  // Function and object pointers have one size where dlsym exists; C has no cast between them.
  memcpy(function, &address, sizeof address);
  if (address == NULL) report_format("error", "it has no function %s", symbol);
  return address != NULL;
}
