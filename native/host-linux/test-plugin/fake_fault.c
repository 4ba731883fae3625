// SPDX-License-Identifier: Apache-2.0
#include "fake_fault.h"

#include <stdlib.h>
#include <string.h>

static GMutex mutex;
static gchar** faults;

void fake_faults_set(const char* text) {
  g_mutex_lock(&mutex);
  g_strfreev(faults);
  faults = g_strsplit(text != NULL ? text : "", ",", -1);
  g_mutex_unlock(&mutex);
}

/// The number behind "ELEMENT=FAULT:", 0 where there is none; -1: it does not have the fault.
static gint64 find(const char* element, const char* fault) {
  gint64 number = -1;
  gchar* const wanted = g_strdup_printf("%s=%s", element, fault);
  const size_t length = strlen(wanted);
  g_mutex_lock(&mutex);
  for (gchar** each = faults; each != NULL && *each != NULL && number < 0; each++) {
    if (strncmp(*each, wanted, length) != 0) continue;
    if ((*each)[length] == 0) number = 0;
    if ((*each)[length] == ':') number = g_ascii_strtoll(*each + length + 1, NULL, 10);
  }
  g_mutex_unlock(&mutex);
  g_free(wanted);
  return number;
}

gboolean fake_has_fault(const char* element, const char* fault) {
  return find(element, fault) >= 0;
}

enum fake_outcome fake_picture(GstElement* element, const char* name, guint number) {
  const gint64 after = find(name, "after");
  if ((number == 1 && fake_has_fault(name, "first-frame")) || (after >= 0 && number >= after)) {
    GST_ELEMENT_ERROR(element, STREAM, ENCODE, ("The fake %s fails at picture %u.", name, number),
                      ("as it was told to"));
    return FAKE_ERROR;
  }
  const gint64 stall = find(name, "stall-after");
  if (fake_has_fault(name, "stall") || (stall >= 0 && number >= stall)) return FAKE_SWALLOW;
  return FAKE_FINE;
}

gboolean fake_start(const char* element) {
  if (fake_has_fault(element, "start-hang")) g_usleep(3 * G_USEC_PER_SEC);
  return !fake_has_fault(element, "start");
}
