// SPDX-License-Identifier: Apache-2.0
// The fake GPU as a plug-in, for processes that a test starts: GST_PLUGIN_PATH names its folder,
// and SCANBRIDGE_FAKE_GPU, SCANBRIDGE_FAKE_GPU_DMABUF and SCANBRIDGE_FAKE_GPU_FAULTS what is
// installed (fake_gpu.h).
#include <stdlib.h>

#include "fake_gpu.h"

#define PACKAGE "scanbridge-tests"

static gboolean plugin_init(GstPlugin* plugin) {
  // The registry is told what the answer depends on.
  static const gchar* const kEnv[] = {"SCANBRIDGE_FAKE_GPU", "SCANBRIDGE_FAKE_GPU_DMABUF", NULL};
  gst_plugin_add_dependency(plugin, (const gchar**)kEnv, NULL, NULL,
                            GST_PLUGIN_DEPENDENCY_FLAG_NONE);
  const struct fake_gpu gpu = {
      .families = getenv(kEnv[0]),
      .dmabuf_formats = getenv(kEnv[1]),
      .faults = getenv("SCANBRIDGE_FAKE_GPU_FAULTS"),
  };
  fake_gpu_install(plugin, &gpu);
  return TRUE;
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, scanbridgefakegpu,
                  "A fake GPU for Scanbridge's tests", plugin_init, "0.1.0", "Apache 2.0", PACKAGE,
                  "https://example.invalid/")
