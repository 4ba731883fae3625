// SPDX-License-Identifier: Apache-2.0
// The encoder service: call-backs come from one thread of its own.
#include <VideoToolbox/VideoToolbox.h>
#include <fakes/control.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bit_stream.h"

FAKE_CONSTANT(CFStringRef, kVTVideoEncoderSpecification_EnableHardwareAcceleratedVideoEncoder);
FAKE_CONSTANT(CFStringRef, kVTVideoEncoderSpecification_EnableLowLatencyRateControl);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_RealTime);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_AllowFrameReordering);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_ProfileLevel);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_AverageBitRate);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_ExpectedFrameRate);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_MaxKeyFrameInterval);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_MaxFrameDelayCount);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_PrioritizeEncodingSpeedOverQuality);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_ColorPrimaries);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_TransferFunction);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_YCbCrMatrix);
FAKE_CONSTANT(CFStringRef, kVTCompressionPropertyKey_UsingHardwareAcceleratedVideoEncoder);
FAKE_CONSTANT(CFStringRef, kVTProfileLevel_H264_ConstrainedHigh_AutoLevel);
FAKE_CONSTANT(CFStringRef, kVTProfileLevel_H264_High_AutoLevel);
FAKE_CONSTANT(CFStringRef, kVTProfileLevel_HEVC_Main_AutoLevel);
FAKE_CONSTANT(CFStringRef, kVTEncodeFrameOptionKey_ForceKeyFrame);

IOSurfaceRef fake_surface_of(CVPixelBufferRef buffer);

struct session {
  fake_object object;
  int32_t width, height;
  CMVideoCodecType codec;
  VTCompressionOutputCallback callback;
  void* context;
  /// Under the service's lock.
  bool invalid;
  unsigned since_key, keys;
};

/// A frame on its way out. Holds its session and, as the real service does, the picture.
struct output {
  struct session* session;
  CVPixelBufferRef picture;
  void* frame;
  bool key;
  unsigned number, idr;
  struct output* next;
};

static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool started;
  fake_encoder behaviour;
  fake_calls calls;
  bool encode_free, outputs_free;
  struct output* first;
  unsigned under_way;
} service = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void fake_set_encoder(const fake_encoder* behaviour) {
  pthread_mutex_lock(&service.lock);
  service.behaviour = *behaviour;
  service.encode_free = service.outputs_free = false;
  pthread_cond_broadcast(&service.changed);
  pthread_mutex_unlock(&service.lock);
}

fake_calls fake_get_calls(void) {
  pthread_mutex_lock(&service.lock);
  const fake_calls calls = service.calls;
  pthread_mutex_unlock(&service.lock);
  return calls;
}

static void set_free(bool* what) {
  pthread_mutex_lock(&service.lock);
  *what = true;
  pthread_cond_broadcast(&service.changed);
  pthread_mutex_unlock(&service.lock);
}

void fake_release_encode(void) {
  set_free(&service.encode_free);
}

void fake_release_outputs(void) {
  set_free(&service.outputs_free);
}

void fake_settle(void) {
  pthread_mutex_lock(&service.lock);
  while (service.under_way > 0) pthread_cond_wait(&service.changed, &service.lock);
  pthread_mutex_unlock(&service.lock);
}

void fake_reset(void) {
  pthread_mutex_lock(&service.lock);
  memset(&service.behaviour, 0, sizeof service.behaviour);
  memset(&service.calls, 0, sizeof service.calls);
  service.encode_free = service.outputs_free = true;
  pthread_cond_broadcast(&service.changed);
  pthread_mutex_unlock(&service.lock);
}

static void append(fake_bytes* to, const void* bytes, size_t size) {
  to->bytes = realloc(to->bytes, to->size + size);
  if (to->bytes == NULL) abort();
  memcpy(to->bytes + to->size, bytes, size);
  to->size += size;
}

static void append_nal(fake_bytes* to, int header, const fake_bytes* nal, bool lie) {
  uint8_t length[4];
  const uint32_t size = (uint32_t)nal->size + (lie ? 1000 : 0);
  for (int i = 0; i < header; i++) length[i] = (uint8_t)(size >> (header - 1 - i) * 8);
  append(to, length, (size_t)header);
  append(to, nal->bytes, nal->size);
}

static CMSampleBufferRef encode(const struct output* output, const fake_encoder* how) {
  const struct session* const session = output->session;
  const uint32_t width = (uint32_t)session->width, height = (uint32_t)session->height;
  IOSurfaceRef const surface = fake_surface_of(output->picture);
  fake_parameters parameters = {.header = how->nal_header == 0 ? 4 : how->nal_header};
  fake_bytes unit = {0};
  if (session->codec == kCMVideoCodecType_HEVC) {
    fake_hevc_parameters(&parameters, width, height, how->reorder);
    uint8_t slice[] = {output->key ? 0x26 : 0x02, 0x01, 0x80, 0x55, 0xaa};
    append_nal(&unit, parameters.header, &(fake_bytes){slice, sizeof slice, 0}, how->bad_lengths);
  } else {
    fake_h264_parameters(&parameters, width, height, !how->no_vui, how->reorder);
    // Supplemental information comes first, as from the real encoder.
    uint8_t sei[] = {0x06, 0x05, 0x01, 0x41, 0x80};
    append_nal(&unit, parameters.header, &(fake_bytes){sei, sizeof sei, 0}, false);
    IOSurfaceLock(surface, kIOSurfaceLockReadOnly, NULL);
    const fake_picture picture = {IOSurfaceGetBaseAddress(surface),
                                  IOSurfaceGetBytesPerRow(surface), width, height};
    fake_bytes slice = fake_h264_slice(&picture, output->number, output->idr);
    IOSurfaceUnlock(surface, kIOSurfaceLockReadOnly, NULL);
    append_nal(&unit, parameters.header, &slice, how->bad_lengths);
    free(slice.bytes);
  }
  if (how->no_parameters) parameters.count = 0;
  CMSampleBufferRef const sample =
      fake_sample(session->codec, &parameters, unit.bytes, unit.size, how->split, output->key);
  free(unit.bytes);
  return sample;
}

static void deliver(struct output* output) {
  pthread_mutex_lock(&service.lock);
  while (service.behaviour.hold_outputs && !service.outputs_free)
    pthread_cond_wait(&service.changed, &service.lock);
  const fake_encoder how = service.behaviour;
  const bool mute = output->session->invalid && !how.late_outputs;
  const bool drop = service.behaviour.drop_frames > 0;
  if (drop) service.behaviour.drop_frames--;
  if (!mute) service.calls.outputs++;
  pthread_mutex_unlock(&service.lock);

  const struct session* const session = output->session;
  for (int i = 0; i < (how.repeat_outputs ? 2 : 1) && !mute; i++) {
    CMSampleBufferRef sample = NULL;
    if (how.output_status == noErr && !drop) sample = encode(output, &how);
    session->callback(session->context, output->frame, how.output_status,
                      drop ? kVTEncodeInfo_FrameDropped : 0, sample);
    if (sample != NULL) CFRelease(sample);
  }
  CFRelease(output->picture);
  CFRelease(output->session);
  free(output);
}

static void* serve(void* unused) {
  (void)unused;
  pthread_mutex_lock(&service.lock);
  for (;;) {
    struct output* const output = service.first;
    if (output == NULL) {
      pthread_cond_wait(&service.changed, &service.lock);
      continue;
    }
    service.first = output->next;
    pthread_mutex_unlock(&service.lock);
    deliver(output);
    pthread_mutex_lock(&service.lock);
    service.under_way--;
    pthread_cond_broadcast(&service.changed);
  }
  return NULL;
}

OSStatus VTCompressionSessionCreate(CFAllocatorRef allocator, int32_t width, int32_t height,
                                    CMVideoCodecType codec, CFDictionaryRef specification,
                                    CFDictionaryRef source, CFAllocatorRef data,
                                    VTCompressionOutputCallback callback, void* context,
                                    VTCompressionSessionRef* out) {
  (void)allocator;
  (void)source;
  (void)data;
  pthread_mutex_lock(&service.lock);
  if (!service.started) {
    service.started = true;
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, NULL) != 0) abort();
    pthread_detach(thread);
  }
  service.calls.creates++;
  fake_encoder* const how = &service.behaviour;
  int32_t status = how->create_status;
  if (status != noErr && how->creations > 0 && --how->creations == 0) how->create_status = noErr;
  if (status == noErr && specification != NULL &&
      CFDictionaryGetValue(specification,
                           kVTVideoEncoderSpecification_EnableLowLatencyRateControl) ==
          kCFBooleanTrue) {
    if (how->no_low_latency)
      status = kVTCouldNotFindVideoEncoderErr;
    else
      service.calls.low_latency++;
  }
  pthread_mutex_unlock(&service.lock);
  if (status != noErr) return status;
  struct session* const session = fake_new("VTCompressionSession", sizeof *session, NULL);
  session->width = width;
  session->height = height;
  session->codec = codec;
  session->callback = callback;
  session->context = context;
  *out = (VTCompressionSessionRef)session;
  return noErr;
}

void VTCompressionSessionInvalidate(VTCompressionSessionRef ref) {
  pthread_mutex_lock(&service.lock);
  service.calls.invalidates++;
  ((struct session*)ref)->invalid = true;
  pthread_mutex_unlock(&service.lock);
}

OSStatus VTCompressionSessionPrepareToEncodeFrames(VTCompressionSessionRef ref) {
  (void)ref;
  return noErr;
}

static uint64_t sum_of(IOSurfaceRef surface) {
  uint64_t sum = 1469598103934665603u;
  IOSurfaceLock(surface, kIOSurfaceLockReadOnly, NULL);
  const uint8_t* const pixels = IOSurfaceGetBaseAddress(surface);
  for (size_t y = 0; y < IOSurfaceGetHeight(surface); y++)
    for (size_t x = 0; x < IOSurfaceGetWidth(surface) * 4; x++)
      sum = (sum ^ pixels[y * IOSurfaceGetBytesPerRow(surface) + x]) * 1099511628211u;
  IOSurfaceUnlock(surface, kIOSurfaceLockReadOnly, NULL);
  return sum;
}

OSStatus VTCompressionSessionEncodeFrame(VTCompressionSessionRef ref, CVImageBufferRef picture,
                                         CMTime time, CMTime duration, CFDictionaryRef properties,
                                         void* frame, VTEncodeInfoFlags* flags) {
  (void)duration;
  (void)flags;
  struct session* const session = (struct session*)ref;
  const uint64_t sum = sum_of(fake_surface_of(picture));
  const bool forced =
      properties != NULL &&
      CFDictionaryGetValue(properties, kVTEncodeFrameOptionKey_ForceKeyFrame) == kCFBooleanTrue;
  pthread_mutex_lock(&service.lock);
  service.calls.encodes++;
  service.calls.last_pixels = sum;
  service.calls.last_pts = time.value;
  service.calls.encode_thread = (uint64_t)(uintptr_t)pthread_self();
  if (forced) service.calls.forced_keys++;
  while (service.behaviour.hold_encode && !service.encode_free)
    pthread_cond_wait(&service.changed, &service.lock);
  OSStatus status = service.behaviour.encode_status;
  if (session->invalid) status = kVTInvalidSessionErr;
  if (status == noErr && !service.behaviour.swallow) {
    struct output* const output = calloc(1, sizeof *output);
    if (output == NULL) abort();
    output->session = (struct session*)(uintptr_t)CFRetain(session);
    output->picture = (CVPixelBufferRef)(uintptr_t)CFRetain(picture);
    output->frame = frame;
    output->key = session->keys == 0 || (forced && !service.behaviour.ignore_key_requests);
    session->since_key = output->key ? 0 : session->since_key + 1;
    if (output->key) session->keys++;
    output->number = session->since_key;
    output->idr = session->keys;
    struct output** last = &service.first;
    while (*last != NULL) last = &(*last)->next;
    *last = output;
    service.under_way++;
    pthread_cond_broadcast(&service.changed);
  }
  pthread_mutex_unlock(&service.lock);
  return status;
}

OSStatus VTSessionSetProperty(VTSessionRef session, CFStringRef key, CFTypeRef value) {
  (void)session;
  pthread_mutex_lock(&service.lock);
  const OSStatus status = service.behaviour.no_properties ? kVTPropertyNotSupportedErr : noErr;
  if (status == noErr && key == kVTCompressionPropertyKey_AverageBitRate)
    service.calls.last_bitrate = (int64_t)((const struct fake_number*)value)->value;
  pthread_mutex_unlock(&service.lock);
  return status;
}

OSStatus VTSessionCopyProperty(VTSessionRef session, CFStringRef key, CFAllocatorRef allocator,
                               void* out) {
  (void)session;
  (void)allocator;
  if (key != kVTCompressionPropertyKey_UsingHardwareAcceleratedVideoEncoder)
    return kVTPropertyNotSupportedErr;
  *(CFTypeRef*)out = CFRetain(kCFBooleanTrue);
  return noErr;
}
