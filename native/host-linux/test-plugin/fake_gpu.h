// SPDX-License-Identifier: Apache-2.0
// A fake: elements under the names of GPU vendors' plug-ins, with the caps that gst-inspect shows
// of the real ones, over software encoders. GStreamer negotiates with them as with the real ones.
#ifndef SCANBRIDGE_TEST_FAKE_GPU_H_
#define SCANBRIDGE_TEST_FAKE_GPU_H_

#include <gst/gst.h>

G_BEGIN_DECLS

/// What is "installed".
struct fake_gpu {
  /// Families, separated by commas: "nvidia", "gl", "va", "valp" (low-power only), "va129" (a
  /// second render node), "qsv", "vaapi" (the legacy plug-in).
  const char* families;
  /// Of the sink caps with memory:DMABuf of vapostproc and glupload:
  /// "XR24,XR24:0x0300000000606010", or video formats ("BGRx") with a GStreamer before 1.24. Empty:
  /// it takes none, as some drivers.
  const char* dmabuf_formats;
  /// "ELEMENT=FAULT", separated by commas:
  ///   start          the element does not start
  ///   start-hang     starting takes three seconds
  ///   link           the caps are refused when they are set
  ///   first-frame    an error at the first picture
  ///   stall          pictures go in, none comes out
  ///   after:N        an error at picture N
  ///   stall-after:N  none comes out from picture N on
  const char* faults;
};

/// Registers the elements, instead of those of an earlier call.
void fake_gpu_install(GstPlugin* plugin, const struct fake_gpu* gpu);

/// The processor's time that stood for the GPU's so far, of all threads [ns].
guint64 fake_gpu_time(void);

G_END_DECLS

#endif  // SCANBRIDGE_TEST_FAKE_GPU_H_
