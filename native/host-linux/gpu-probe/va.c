// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "asks.h"
#include "library.h"
#include "report.h"

// The interface, as far as it is used; the values are those of va.h, which never change.
enum {
  PROFILE_NONE = -1,
  PROFILE_H264_HIGH = 7,
  PROFILE_H264_CONSTRAINED_BASELINE = 13,
  PROFILE_HEVC_MAIN = 17,
  PROFILE_VP9_0 = 19,
  PROFILE_AV1_0 = 32,
  ENTRY_ENCODE = 6,
  ENTRY_ENCODE_LOW_POWER = 8,
  ENTRY_VIDEO_PROCESSOR = 10,
  ATTRIBUTE_MAX_WIDTH = 18,
  ATTRIBUTE_MAX_HEIGHT = 19,
  FORMAT_YUV420 = 1,
  PROGRESSIVE = 1,
  MAX_ENTRIES = 64,
  /// A picture that every encoder takes [pixels].
  TRY_WIDTH = 640,
  TRY_HEIGHT = 368,
};
#define NOT_SUPPORTED 0x80000000u

struct attribute {
  int type;
  unsigned value;
};

struct va {
  void* display;
  void* (*get_display)(int fd);
  void* (*quiet_info)(void* display, void* callback, void* user);
  void* (*quiet_error)(void* display, void* callback, void* user);
  int (*initialize)(void* display, int* major, int* minor);
  const char* (*vendor)(void* display);
  int (*max_entries)(void* display);
  int (*entries)(void* display, int profile, int* list, int* count);
  int (*attributes)(void* display, int profile, int entry, struct attribute* list, int count);
  int (*create_config)(void* display, int profile, int entry, struct attribute* list, int count,
                       unsigned* config);
  int (*create_surfaces)(void* display, unsigned format, unsigned width, unsigned height,
                         unsigned* surfaces, unsigned count, void* attributes, unsigned n);
  int (*create_context)(void* display, unsigned config, int width, int height, int flags,
                        unsigned* surfaces, int count, unsigned* context);
  int (*destroy_context)(void* display, unsigned context);
  int (*destroy_surfaces)(void* display, unsigned* surfaces, int count);
  int (*destroy_config)(void* display, unsigned config);
  const char* (*error_text)(int status);
};

static const struct {
  const char* codec;
  int profile;
} kCodecs[] = {
    {"h264", PROFILE_H264_CONSTRAINED_BASELINE},
    {"h264", PROFILE_H264_HIGH},
    {"hevc", PROFILE_HEVC_MAIN},
    {"vp9", PROFILE_VP9_0},
    {"av1", PROFILE_AV1_0},
};

static bool load(struct va* va) {
  void* const library = library_load("libva.so.2");
  if (library == NULL) return false;
  const struct {
    const char* symbol;
    void* function;
  } needed[] = {
      {"vaSetInfoCallback", &va->quiet_info},     {"vaSetErrorCallback", &va->quiet_error},
      {"vaInitialize", &va->initialize},          {"vaQueryVendorString", &va->vendor},
      {"vaMaxNumEntrypoints", &va->max_entries},  {"vaQueryConfigEntrypoints", &va->entries},
      {"vaGetConfigAttributes", &va->attributes}, {"vaCreateConfig", &va->create_config},
      {"vaCreateSurfaces", &va->create_surfaces}, {"vaCreateContext", &va->create_context},
      {"vaDestroyContext", &va->destroy_context}, {"vaDestroySurfaces", &va->destroy_surfaces},
      {"vaDestroyConfig", &va->destroy_config},   {"vaErrorStr", &va->error_text},
  };
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    if (!library_symbol(library, needed[i].symbol, needed[i].function)) return false;
  }
  report_object("drm");
  void* const drm = library_load("libva-drm.so.2");
  const bool found = drm != NULL && library_symbol(drm, "vaGetDisplayDRM", &va->get_display);
  report_close();
  return found;
}

/// Makes an encoder's context and frees it; the driver's refusal, or NULL.
static const char* refusal(const struct va* va, int profile, int entry) {
  unsigned config = 0;
  unsigned surface = 0;
  unsigned context = 0;
  int status = va->create_config(va->display, profile, entry, NULL, 0, &config);
  if (status != 0) return va->error_text(status);
  status =
      va->create_surfaces(va->display, FORMAT_YUV420, TRY_WIDTH, TRY_HEIGHT, &surface, 1, NULL, 0);
  if (status == 0) {
    status = va->create_context(va->display, config, TRY_WIDTH, TRY_HEIGHT, PROGRESSIVE, &surface,
                                1, &context);
    if (status == 0) va->destroy_context(va->display, context);
    va->destroy_surfaces(va->display, &surface, 1);
  }
  va->destroy_config(va->display, config);
  return status == 0 ? NULL : va->error_text(status);
}

static void report_encoder(const struct va* va, const char* codec, int profile, int entry) {
  report_object(NULL);
  report_text("codec", codec);
  report_bool("lowPower", entry == ENTRY_ENCODE_LOW_POWER);
  struct attribute sizes[] = {{ATTRIBUTE_MAX_WIDTH, NOT_SUPPORTED},
                              {ATTRIBUTE_MAX_HEIGHT, NOT_SUPPORTED}};
  if (va->attributes(va->display, profile, entry, sizes, 2) == 0) {
    if (sizes[0].value != NOT_SUPPORTED) report_number("maxWidth", sizes[0].value);
    if (sizes[1].value != NOT_SUPPORTED) report_number("maxHeight", sizes[1].value);
  }
  report_stage("making an encoder");
  const char* const why = refusal(va, profile, entry);
  report_bool("works", why == NULL);
  if (why != NULL) report_text("error", why);
  report_close();
}

/// The entry points of a profile; none when the driver does not know the profile.
static int entries_of(const struct va* va, int profile, int* entries) {
  // The driver writes as many as it announced, whatever room there is.
  const int most = va->max_entries(va->display);
  int count = 0;
  if (most <= 0 || most > MAX_ENTRIES) return 0;
  if (va->entries(va->display, profile, entries, &count) != 0) return 0;
  return count < most ? count : most;
}

static void report_encoders(const struct va* va) {
  int entries[MAX_ENTRIES];
  report_array("encoders");
  const char* last = "";
  for (size_t i = 0; i < sizeof kCodecs / sizeof kCodecs[0]; i++) {
    if (strcmp(kCodecs[i].codec, last) == 0) continue;
    const int count = entries_of(va, kCodecs[i].profile, entries);
    for (int k = 0; k < count; k++) {
      if (entries[k] != ENTRY_ENCODE && entries[k] != ENTRY_ENCODE_LOW_POWER) continue;
      last = kCodecs[i].codec;
      report_encoder(va, kCodecs[i].codec, kCodecs[i].profile, entries[k]);
    }
  }
  report_close();
  const int count = entries_of(va, PROFILE_NONE, entries);
  bool processor = false;
  for (int k = 0; k < count; k++) processor |= entries[k] == ENTRY_VIDEO_PROCESSOR;
  report_bool("videoProcessor", processor);
}

void ask_va(const char* render_node) {
  struct va va;
  report_stage("loading libva.so.2");
  report_begin();
  report_object("result");
  report_text("node", render_node);
  const bool loaded = load(&va);
  // The descriptor is the display's until the process ends.
  const int fd = loaded ? open(render_node, O_RDWR | O_CLOEXEC) : -1;
  if (loaded && fd < 0) {
    report_format("error", "%s cannot be opened: %s", render_node, strerror(errno));
  }
  if (fd >= 0) {
    report_stage("initializing the VA-API driver");
    va.display = va.get_display(fd);
    int major = 0;
    int minor = 0;
    int status = 1;
    if (va.display != NULL) {
      va.quiet_info(va.display, NULL, NULL);
      va.quiet_error(va.display, NULL, NULL);
      status = va.initialize(va.display, &major, &minor);
    }
    if (status != 0) {
      report_format("error", "the VA-API driver does not start: %s", va.error_text(status));
    } else {
      report_format("version", "%d.%d", major, minor);
      const char* const vendor = va.vendor(va.display);
      if (vendor != NULL) report_text("driver", vendor);
      report_encoders(&va);
    }
  }
  report_end();
}
