// SPDX-License-Identifier: Apache-2.0
// Asks vendors' libraries what a GPU can do, in a process of its own: a driver that crashes or
// hangs takes nothing with it but this program.
//
// Prints lines of JSON: {"stage": ...} before something is tried, and last {"result": {...}}. The
// exit status is 0 when there is a result, also when the result is that nothing works.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asks.h"
#include "report.h"

static const char kHelp[] =
    "usage: scanbridge-gpu-probe cuda                the CUDA driver, its GPUs and their encoders\n"
    "       scanbridge-gpu-probe va RENDER_NODE      the VA-API driver of a render node\n"
    "       scanbridge-gpu-probe egl                 EGL devices, and the dma-bufs they import\n"
    "       scanbridge-gpu-probe import DEVICE       a dma-buf through EGL into CUDA, pixels "
    "compared;\n"
    "                                                DEVICE counts the devices of egl, from 0\n"
    "Each prints lines of JSON. Vendors' libraries are found as the dynamic linker finds them.\n";

int main(int argc, char** argv) {
  const char* const what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0) {
    fputs(kHelp, stdout);
    return EXIT_SUCCESS;
  }
  if (strcmp(what, "cuda") == 0 && argc == 2) {
    ask_cuda();
  } else if (strcmp(what, "va") == 0 && argc == 3) {
    ask_va(argv[2]);
  } else if (strcmp(what, "egl") == 0 && argc == 2) {
    ask_egl();
  } else if (strcmp(what, "import") == 0 && argc == 3) {
    ask_import(strtoul(argv[2], NULL, 10));
  } else {
    fprintf(stderr, "scanbridge-gpu-probe: cannot do \"%s\" with %d arguments\n%s", what,
            argc > 2 ? argc - 2 : 0, kHelp);
    return 2;
  }
  fflush(stdout);
  // Not exit: destructors of drivers have been seen to hang, and there is nothing left to free.
  _Exit(EXIT_SUCCESS);
}
