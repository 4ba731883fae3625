// SPDX-License-Identifier: Apache-2.0
// IOSurface and the pixel buffers of CoreVideo that are made of one.
#include <CoreVideo/CoreVideo.h>
#include <fakes/control.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "object.h"

FAKE_CONSTANT(CFStringRef, kIOSurfaceWidth);
FAKE_CONSTANT(CFStringRef, kIOSurfaceHeight);
FAKE_CONSTANT(CFStringRef, kIOSurfaceBytesPerElement);
FAKE_CONSTANT(CFStringRef, kIOSurfacePixelFormat);
FAKE_CONSTANT(CFStringRef, kIOSurfaceIsGlobal);
FAKE_CONSTANT(CFStringRef, kCVImageBufferColorPrimariesKey);
FAKE_CONSTANT(CFStringRef, kCVImageBufferColorPrimaries_ITU_R_709_2);
FAKE_CONSTANT(CFStringRef, kCVImageBufferTransferFunctionKey);
FAKE_CONSTANT(CFStringRef, kCVImageBufferTransferFunction_sRGB);

/// Rows are padded, so that nobody takes width * 4 for their distance.
enum { ROW_ALIGN = 64, MAX_SURFACES = 256 };

struct surface {
  fake_object object;
  IOSurfaceID id;
  size_t width, height, stride, size;
  OSType format;
  Boolean global;
  _Atomic int locks;
  _Atomic int uses;
  void* data;
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct surface* table[MAX_SURFACES];
static IOSurfaceID last_id;
static _Atomic unsigned failing_surfaces;
static _Atomic unsigned failing_buffers;

void fake_fail_iosurface(unsigned times) {
  failing_surfaces = times;
}

void fake_fail_pixel_buffer(unsigned times) {
  failing_buffers = times;
}

static bool take(_Atomic unsigned* counter) {
  unsigned left = atomic_load(counter);
  while (left > 0) {
    if (atomic_compare_exchange_weak(counter, &left, left - 1)) return true;
  }
  return false;
}

static void destroy_surface(fake_object* self) {
  struct surface* const surface = (struct surface*)self;
  if (surface->locks != 0 || surface->uses != 0) {
    fprintf(stderr, "fakes: IOSurface %u ends with %d locks and %d uses\n", surface->id,
            surface->locks, surface->uses);
    abort();
  }
  pthread_mutex_lock(&table_lock);
  for (size_t i = 0; i < MAX_SURFACES; i++)
    if (table[i] == surface) table[i] = NULL;
  pthread_mutex_unlock(&table_lock);
  free(surface->data);
}

static IOSurfaceRef make(size_t width, size_t height, OSType format, Boolean global) {
  struct surface* const surface = fake_new("IOSurface", sizeof *surface, destroy_surface);
  surface->width = width;
  surface->height = height;
  surface->format = format;
  surface->global = global;
  surface->stride = (width * 4 + ROW_ALIGN) / ROW_ALIGN * ROW_ALIGN;
  surface->size = surface->stride * height;
  surface->data = calloc(1, surface->size);
  if (surface->data == NULL) abort();
  pthread_mutex_lock(&table_lock);
  surface->id = ++last_id;
  for (size_t i = 0;; i++) {
    if (i == MAX_SURFACES) abort();
    if (table[i] != NULL) continue;
    table[i] = surface;
    break;
  }
  pthread_mutex_unlock(&table_lock);
  return (IOSurfaceRef)surface;
}

static double number(CFDictionaryRef from, CFStringRef key) {
  const struct fake_number* const value = CFDictionaryGetValue(from, key);
  return value == NULL ? 0 : value->value;
}

IOSurfaceRef IOSurfaceCreate(CFDictionaryRef properties) {
  if (take(&failing_surfaces)) return NULL;
  const double width = number(properties, kIOSurfaceWidth);
  const double height = number(properties, kIOSurfaceHeight);
  if (width < 1 || height < 1 || number(properties, kIOSurfaceBytesPerElement) != 4) return NULL;
  return make((size_t)width, (size_t)height, (OSType)number(properties, kIOSurfacePixelFormat),
              CFDictionaryGetValue(properties, kIOSurfaceIsGlobal) == kCFBooleanTrue);
}

IOSurfaceRef fake_iosurface(uint32_t width, uint32_t height, uint32_t format) {
  return make(width, height, format, true);
}

void fake_iosurface_lie(IOSurfaceRef ref, size_t bytes_per_row, size_t alloc_size) {
  struct surface* const surface = (struct surface*)ref;
  surface->stride = bytes_per_row;
  surface->size = alloc_size;
}

IOSurfaceRef IOSurfaceLookup(IOSurfaceID id) {
  IOSurfaceRef found = NULL;
  pthread_mutex_lock(&table_lock);
  for (size_t i = 0; i < MAX_SURFACES && found == NULL; i++) {
    struct surface* const surface = table[i];
    if (surface == NULL || surface->id != id || !surface->global) continue;
    // One that is about to end is not brought back.
    long references = atomic_load(&surface->object.references);
    while (references > 0 && !atomic_compare_exchange_weak(&surface->object.references, &references,
                                                           references + 1)) {
    }
    if (references > 0) found = (IOSurfaceRef)surface;
  }
  pthread_mutex_unlock(&table_lock);
  return found;
}

IOSurfaceID IOSurfaceGetID(IOSurfaceRef ref) {
  return ((struct surface*)ref)->id;
}
kern_return_t IOSurfaceLock(IOSurfaceRef ref, IOSurfaceLockOptions options, uint32_t* seed) {
  (void)options;
  (void)seed;
  atomic_fetch_add(&((struct surface*)ref)->locks, 1);
  return 0;
}
kern_return_t IOSurfaceUnlock(IOSurfaceRef ref, IOSurfaceLockOptions options, uint32_t* seed) {
  (void)options;
  (void)seed;
  if (atomic_fetch_sub(&((struct surface*)ref)->locks, 1) <= 0) abort();
  return 0;
}
size_t IOSurfaceGetWidth(IOSurfaceRef ref) {
  return ((struct surface*)ref)->width;
}
size_t IOSurfaceGetHeight(IOSurfaceRef ref) {
  return ((struct surface*)ref)->height;
}
size_t IOSurfaceGetBytesPerRow(IOSurfaceRef ref) {
  return ((struct surface*)ref)->stride;
}
size_t IOSurfaceGetPlaneCount(IOSurfaceRef ref) {
  (void)ref;
  return 0;
}
size_t IOSurfaceGetAllocSize(IOSurfaceRef ref) {
  return ((struct surface*)ref)->size;
}
OSType IOSurfaceGetPixelFormat(IOSurfaceRef ref) {
  return ((struct surface*)ref)->format;
}
void* IOSurfaceGetBaseAddress(IOSurfaceRef ref) {
  // Memory may be looked at between Lock and Unlock only.
  return ((struct surface*)ref)->locks > 0 ? ((struct surface*)ref)->data : NULL;
}
void IOSurfaceIncrementUseCount(IOSurfaceRef ref) {
  atomic_fetch_add(&((struct surface*)ref)->uses, 1);
}
void IOSurfaceDecrementUseCount(IOSurfaceRef ref) {
  if (atomic_fetch_sub(&((struct surface*)ref)->uses, 1) <= 0) abort();
}
Boolean IOSurfaceIsInUse(IOSurfaceRef ref) {
  return ((struct surface*)ref)->uses > 0;
}
int fake_iosurface_use_count(IOSurfaceRef ref) {
  return ((struct surface*)ref)->uses;
}
int fake_iosurface_lock_count(IOSurfaceRef ref) {
  return ((struct surface*)ref)->locks;
}

struct pixel_buffer {
  fake_object object;
  IOSurfaceRef surface;
};

static void destroy_pixel_buffer(fake_object* self) {
  CFRelease(((struct pixel_buffer*)self)->surface);
}

CVReturn CVPixelBufferCreateWithIOSurface(CFAllocatorRef allocator, IOSurfaceRef surface,
                                          CFDictionaryRef attributes, CVPixelBufferRef* out) {
  (void)allocator;
  (void)attributes;
  if (take(&failing_buffers)) return -6660;
  struct pixel_buffer* const buffer =
      fake_new("CVPixelBuffer", sizeof *buffer, destroy_pixel_buffer);
  buffer->surface = (IOSurfaceRef)(uintptr_t)CFRetain(surface);
  *out = (CVPixelBufferRef)buffer;
  return kCVReturnSuccess;
}

void CVPixelBufferRelease(CVPixelBufferRef buffer) {
  if (buffer != NULL) CFRelease(buffer);
}

void CVBufferSetAttachment(CVBufferRef buffer, CFStringRef key, CFTypeRef value,
                           CVAttachmentMode mode) {
  (void)buffer;
  (void)key;
  (void)value;
  (void)mode;
}

IOSurfaceRef fake_surface_of(CVPixelBufferRef buffer) {
  return ((struct pixel_buffer*)buffer)->surface;
}
