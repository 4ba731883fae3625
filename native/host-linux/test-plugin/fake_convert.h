// SPDX-License-Identifier: Apache-2.0
// Elements that take pictures into a GPU's memory, or convert them there.
#ifndef SCANBRIDGE_TEST_FAKE_CONVERT_H_
#define SCANBRIDGE_TEST_FAKE_CONVERT_H_

#include <gst/gst.h>

/// A type with these caps. What the GPU would do, the processor does here; memory of a GPU is
/// memory of the system under another name.
GType fake_convert_type(const char* type, const char* name, const char* sink, const char* src);

/// The processor's time in all of them so far [ns].
guint64 fake_convert_time(void);

#endif  // SCANBRIDGE_TEST_FAKE_CONVERT_H_
