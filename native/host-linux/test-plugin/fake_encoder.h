// SPDX-License-Identifier: Apache-2.0
// Encoders of a GPU: a software encoder behind caps that only a GPU's has.
#ifndef SCANBRIDGE_TEST_FAKE_ENCODER_H_
#define SCANBRIDGE_TEST_FAKE_ENCODER_H_

#include <gst/gst.h>

/// A type with these sink caps around `inner`, an encoder in the notation of gst-launch.
GType fake_encoder_type(const char* type, const char* name, const char* sink, const char* inner);

#endif  // SCANBRIDGE_TEST_FAKE_ENCODER_H_
