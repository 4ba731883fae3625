// SPDX-License-Identifier: Apache-2.0
#include "videotoolbox/session.h"

#include <VideoToolbox/VideoToolbox.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "videotoolbox/memory.h"
#include "videotoolbox/status.h"

/// Sessions of a process; a worker has one, and two for a moment when it is resized.
enum { MAX_SESSIONS = 64 };
/// A key frame comes when it is asked for; this only bounds damage by a lost one [frames].
enum { KEY_FRAME_INTERVAL = 100000 };

struct sbm_session {
  sbm_session_settings settings;
  sbm_session_observer observer;
  VTCompressionSessionRef session;
  size_t reserved;
  char description[48];
  /// Under `table_lock`. The number under which call-backs find the session; never used twice.
  uintptr_t number;
  /// A call-back is using the session.
  unsigned inside;
  /// The frame that is in VideoToolbox, and the hold on its picture.
  bool busy;
  uint64_t frame;
  sbm_picture* picture;
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t table_changed = PTHREAD_COND_INITIALIZER;
static sbm_session* table[MAX_SESSIONS];
static uintptr_t last_number;

/// The session of a call-back for a frame, which is no longer in VideoToolbox then; its picture is
/// given to the caller. NULL: the session is gone, or the frame is not in it.
static sbm_session* enter(uintptr_t number, uint64_t frame, sbm_picture** picture) {
  sbm_session* found = NULL;
  (void)pthread_mutex_lock(&table_lock);
  for (size_t i = 0; i < MAX_SESSIONS && found == NULL; i++) {
    sbm_session* const session = table[i];
    if (session == NULL || session->number != number) continue;
    if (!session->busy || session->frame != frame) break;
    found = session;
    found->busy = false;
    found->inside++;
    *picture = found->picture;
    found->picture = NULL;
  }
  (void)pthread_mutex_unlock(&table_lock);
  return found;
}

static void leave(sbm_session* session) {
  (void)pthread_mutex_lock(&table_lock);
  session->inside--;
  (void)pthread_cond_broadcast(&table_changed);
  (void)pthread_mutex_unlock(&table_lock);
}

static void on_output(void* context, void* source, OSStatus status, VTEncodeInfoFlags flags,
                      CMSampleBufferRef sample) {
  const uint64_t frame = (uint64_t)(uintptr_t)source;
  sbm_picture* picture = NULL;
  sbm_session* const session = enter((uintptr_t)context, frame, &picture);
  if (session == NULL) return;
  // Whoever is told may send the next frame, so the picture is given back before.
  sbm_picture_release(picture);
  const sbm_session_observer* const observer = &session->observer;
  sbm_error error;
  sbm_unit unit;
  if (status != noErr) {
    const bool again = sbm_status_error(status, "encode a picture", &error);
    observer->failed(observer->context, frame, &error, again);
  } else if ((flags & kVTEncodeInfo_FrameDropped) != 0 || sample == NULL) {
    observer->dropped(observer->context, frame);
  } else if (!sbm_unit_of_sample(sample, session->settings.codec, session->settings.headroom, &unit,
                                 &error)) {
    observer->failed(observer->context, frame, &error, false);
  } else {
    observer->unit(observer->context, frame, &unit);
  }
  leave(session);
}

/// A system that lacks a property works without it, so a refusal is no error.
static void set(sbm_session* session, CFStringRef key, CFTypeRef value) {
  (void)VTSessionSetProperty(session->session, key, value);
}

static void set_number(sbm_session* session, CFStringRef key, int64_t value) {
  CFNumberRef const number = CFNumberCreate(kCFAllocatorDefault, kCFNumberSInt64Type, &value);
  if (number == NULL) return;
  set(session, key, number);
  CFRelease(number);
}

void sbm_session_set_bitrate(sbm_session* session, uint32_t kbps) {
  set_number(session, kVTCompressionPropertyKey_AverageBitRate, (int64_t)kbps * 1000);
}

static void configure(sbm_session* session, bool low_latency) {
  const sbm_session_settings* const settings = &session->settings;
  set(session, kVTCompressionPropertyKey_RealTime, kCFBooleanTrue);
  set(session, kVTCompressionPropertyKey_AllowFrameReordering, kCFBooleanFalse);
  set(session, kVTCompressionPropertyKey_ProfileLevel,
      settings->codec == kCMVideoCodecType_HEVC ? kVTProfileLevel_HEVC_Main_AutoLevel
      // The low-latency rate control takes no other of the High profiles.
      : low_latency ? kVTProfileLevel_H264_ConstrainedHigh_AutoLevel
                    : kVTProfileLevel_H264_High_AutoLevel);
  set_number(session, kVTCompressionPropertyKey_MaxKeyFrameInterval, KEY_FRAME_INTERVAL);
  set_number(session, kVTCompressionPropertyKey_MaxFrameDelayCount, 0);
  set_number(session, kVTCompressionPropertyKey_ExpectedFrameRate, settings->max_fps);
  set(session, kVTCompressionPropertyKey_PrioritizeEncodingSpeedOverQuality, kCFBooleanTrue);
  set(session, kVTCompressionPropertyKey_ColorPrimaries,
      kCMFormatDescriptionColorPrimaries_ITU_R_709_2);
  set(session, kVTCompressionPropertyKey_TransferFunction,
      kCMFormatDescriptionTransferFunction_ITU_R_709_2);
  set(session, kVTCompressionPropertyKey_YCbCrMatrix, kCMFormatDescriptionYCbCrMatrix_ITU_R_709_2);
  sbm_session_set_bitrate(session, settings->bitrate_kbps);
}

static void describe(sbm_session* session, bool low_latency) {
  CFBooleanRef hardware = NULL;
  const bool known =
      VTSessionCopyProperty(session->session,
                            kVTCompressionPropertyKey_UsingHardwareAcceleratedVideoEncoder,
                            kCFAllocatorDefault, &hardware) == noErr &&
      hardware != NULL;
  (void)snprintf(session->description, sizeof session->description, "%s%s",
                 known && CFBooleanGetValue(hardware) ? "hardware" : "software",
                 low_latency ? ", low latency" : "");
  if (hardware != NULL) CFRelease(hardware);
}

static OSStatus create(sbm_session* session, bool low_latency) {
  CFMutableDictionaryRef const specification = CFDictionaryCreateMutable(
      kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
  if (specification == NULL) return kVTAllocationFailedErr;
  CFDictionarySetValue(specification,
                       kVTVideoEncoderSpecification_EnableHardwareAcceleratedVideoEncoder,
                       kCFBooleanTrue);
  if (low_latency)
    CFDictionarySetValue(specification, kVTVideoEncoderSpecification_EnableLowLatencyRateControl,
                         kCFBooleanTrue);
  const OSStatus status = VTCompressionSessionCreate(
      kCFAllocatorDefault, (int32_t)session->settings.width, (int32_t)session->settings.height,
      session->settings.codec, specification, NULL, NULL, on_output, (void*)session->number,
      &session->session);
  CFRelease(specification);
  return status;
}

/// A place in the table, with a number; false when there is none.
static bool enlist(sbm_session* session) {
  bool done = false;
  (void)pthread_mutex_lock(&table_lock);
  for (size_t i = 0; i < MAX_SESSIONS && !done; i++) {
    if (table[i] != NULL) continue;
    session->number = ++last_number;
    table[i] = session;
    done = true;
  }
  (void)pthread_mutex_unlock(&table_lock);
  return done;
}

/// From now on no call-back finds the session. Waits for one that has. Returns the picture of the
/// frame that was in it.
static sbm_picture* delist(sbm_session* session) {
  (void)pthread_mutex_lock(&table_lock);
  for (size_t i = 0; i < MAX_SESSIONS; i++)
    if (table[i] == session) table[i] = NULL;
  while (session->inside > 0) (void)pthread_cond_wait(&table_changed, &table_lock);
  sbm_picture* const picture = session->picture;
  session->picture = NULL;
  (void)pthread_mutex_unlock(&table_lock);
  return picture;
}

sbm_session* sbm_session_create(const sbm_session_settings* settings,
                                const sbm_session_observer* observer, sbm_error* error,
                                bool* again) {
  *again = false;
  const size_t memory = sbm_memory_estimate(settings->width, settings->height);
  if (!sbm_memory_reserve(memory)) {
    sbm_error_set(error, "ENCODER_MEMORY", "Make desktops smaller, or fewer in one process.",
                  "A session of %ux%u would need %zu MiB more than the encoder service gets.",
                  settings->width, settings->height, memory >> 20);
    return NULL;
  }
  sbm_session* const session = calloc(1, sizeof *session);
  if (session == NULL || (session->settings = *settings, session->observer = *observer,
                          session->reserved = memory, !enlist(session))) {
    sbm_error_set(error, "ENCODER_MEMORY", "Close sessions first.",
                  "There are too many sessions in this process.");
    free(session);
    sbm_memory_release(memory);
    return NULL;
  }
  // Only asking tells whether this system and encoder have it.
  bool low_latency = true;
  OSStatus status = create(session, low_latency);
  if (status != noErr && !sbm_status_error(status, "start", NULL)) {
    low_latency = false;
    status = create(session, low_latency);
  }
  if (status != noErr) {
    *again = sbm_status_error(status, "start an encoder", error);
    (void)delist(session);
    sbm_memory_release(memory);
    free(session);
    return NULL;
  }
  configure(session, low_latency);
  (void)VTCompressionSessionPrepareToEncodeFrames(session->session);
  describe(session, low_latency);
  return session;
}

void sbm_session_destroy(sbm_session* session) {
  if (session == NULL) return;
  // Before Invalidate, which may itself call back, and before the picture is let go.
  sbm_picture* const picture = delist(session);
  VTCompressionSessionInvalidate(session->session);
  CFRelease(session->session);
  sbm_picture_release(picture);
  sbm_memory_release(session->reserved);
  free(session);
}

bool sbm_session_encode(sbm_session* session, sbm_picture* picture, uint64_t frame, uint64_t time,
                        bool key, sbm_error* error, bool* again) {
  CFMutableDictionaryRef properties = NULL;
  if (key) {
    properties = CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks,
                                           &kCFTypeDictionaryValueCallBacks);
    if (properties != NULL)
      CFDictionarySetValue(properties, kVTEncodeFrameOptionKey_ForceKeyFrame, kCFBooleanTrue);
  }
  // Noted before, because the call-back may be faster than the return.
  (void)pthread_mutex_lock(&table_lock);
  session->busy = true;
  session->frame = frame;
  session->picture = sbm_picture_hold(picture);
  (void)pthread_mutex_unlock(&table_lock);
  const OSStatus status = VTCompressionSessionEncodeFrame(
      session->session, sbm_picture_buffer(picture), CMTimeMake((int64_t)time, 1000000000),
      kCMTimeInvalid, properties, (void*)(uintptr_t)frame, NULL);
  if (properties != NULL) CFRelease(properties);
  if (status == noErr) return true;
  sbm_picture* held = NULL;
  (void)pthread_mutex_lock(&table_lock);
  const bool untold = session->busy;
  session->busy = false;
  held = session->picture;
  session->picture = NULL;
  (void)pthread_mutex_unlock(&table_lock);
  sbm_picture_release(held);
  *again = sbm_status_error(status, "take a picture", error);
  // A call-back that came all the same has told what is to be told.
  return !untold;
}

const char* sbm_session_description(const sbm_session* session) {
  return session->description;
}
