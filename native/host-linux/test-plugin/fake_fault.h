// SPDX-License-Identifier: Apache-2.0
// What goes wrong in which element; see fake_gpu.h.
#ifndef SCANBRIDGE_TEST_FAKE_FAULT_H_
#define SCANBRIDGE_TEST_FAKE_FAULT_H_

#include <gst/gst.h>

enum fake_outcome { FAKE_FINE, FAKE_ERROR, FAKE_SWALLOW };

/// Replaces all faults; NULL: none.
void fake_faults_set(const char* faults);
/// Whether the element has this fault, e.g. "link".
gboolean fake_has_fault(const char* element, const char* fault);
/// What becomes of picture `number`, from 1. Posts the error.
enum fake_outcome fake_picture(GstElement* element, const char* name, guint number);
/// What becomes of a start; waits where that is the fault.
gboolean fake_start(const char* element);

#endif  // SCANBRIDGE_TEST_FAKE_FAULT_H_
