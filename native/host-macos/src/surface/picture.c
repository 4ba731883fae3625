// SPDX-License-Identifier: Apache-2.0
#include "surface/picture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_PER_PIXEL = 4, FOURCC_XR24 = 0x34325258, FOURCC_AR24 = 0x34325241 };

struct sbm_picture {
  _Atomic unsigned references;
  IOSurfaceRef surface;
  CVPixelBufferRef buffer;
  uint32_t width, height;
  bool inverted;
};

/// Takes over the caller's reference to the surface, also on failure.
static sbm_picture* wrap(IOSurfaceRef surface, uint32_t width, uint32_t height, bool inverted,
                         sbm_error* error) {
  CVPixelBufferRef buffer = NULL;
  sbm_picture* const picture = calloc(1, sizeof *picture);
  const CVReturn made =
      CVPixelBufferCreateWithIOSurface(kCFAllocatorDefault, surface, NULL, &buffer);
  if (picture == NULL || made != kCVReturnSuccess) {
    sbm_error_set(error, "SURFACE_NO_MEMORY", "Close other programs.",
                  "No pixel buffer can be made of IOSurface %u (status %d).",
                  IOSurfaceGetID(surface), (int)made);
    if (made == kCVReturnSuccess) CVPixelBufferRelease(buffer);
    free(picture);
    CFRelease(surface);
    return NULL;
  }
  // A desktop's pixels are sRGB; without this the encoder has to guess.
  CVBufferSetAttachment(buffer, kCVImageBufferColorPrimariesKey,
                        kCVImageBufferColorPrimaries_ITU_R_709_2,
                        kCVAttachmentMode_ShouldPropagate);
  CVBufferSetAttachment(buffer, kCVImageBufferTransferFunctionKey,
                        kCVImageBufferTransferFunction_sRGB, kCVAttachmentMode_ShouldPropagate);
  atomic_init(&picture->references, 1);
  picture->surface = surface;
  picture->buffer = buffer;
  picture->width = width;
  picture->height = height;
  picture->inverted = inverted;
  return picture;
}

static sbm_picture* refuse(IOSurfaceRef surface, const char* code, const char* what,
                           const struct sb_surface* message, sbm_error* error) {
  sbm_error_set(error, code,
                "This is a defect of the producer of surfaces, or an attack; look at its log.",
                "Surface %u refused: %s.", message->surface, what);
  if (surface != NULL) CFRelease(surface);
  return NULL;
}

sbm_picture* sbm_picture_lookup(const struct sb_surface* message, sbm_error* error) {
  if (message->kind != SB_SURFACE_KIND_IOSURFACE)
    return refuse(NULL, "SURFACE_UNSUPPORTED", "it is no IOSurface", message, error);
  if (message->plane_count != 0 || message->header.fd_count != 0 ||
      (message->flags & ~(uint32_t)SB_SURFACE_FLAG_Y_INVERTED) != 0)
    return refuse(NULL, "SURFACE_BAD_VALUE", "it has planes, descriptors or unknown flags", message,
                  error);
  if (message->format != FOURCC_XR24 && message->format != FOURCC_AR24)
    return refuse(NULL, "SURFACE_UNSUPPORTED", "its format is neither XR24 nor AR24", message,
                  error);
  IOSurfaceRef const surface = IOSurfaceLookup(message->iosurface_id);
  if (surface == NULL) {
    sbm_error_set(error, "SURFACE_LOST",
                  "Start the stream again; if it comes back, check that both sides run as the same "
                  "user in the same login session.",
                  "There is no IOSurface %u: the producer has freed it, or may not share it.",
                  message->iosurface_id);
    return NULL;
  }
  const uint64_t row = (uint64_t)message->width * BYTES_PER_PIXEL;
  const uint64_t stride = IOSurfaceGetBytesPerRow(surface);
  if (IOSurfaceGetPixelFormat(surface) != kCVPixelFormatType_32BGRA ||
      IOSurfaceGetPlaneCount(surface) != 0)
    return refuse(surface, "SURFACE_BAD_VALUE", "its IOSurface is not BGRA", message, error);
  if (IOSurfaceGetWidth(surface) != message->width ||
      IOSurfaceGetHeight(surface) != message->height)
    return refuse(surface, "SURFACE_BAD_VALUE", "its IOSurface is of another size", message, error);
  if (stride < row ||
      IOSurfaceGetAllocSize(surface) < stride * (message->height - (uint64_t)1) + row)
    return refuse(surface, "SURFACE_BAD_VALUE", "its IOSurface is smaller than its rows", message,
                  error);
  return wrap(surface, message->width, message->height,
              (message->flags & SB_SURFACE_FLAG_Y_INVERTED) != 0, error);
}

static bool set_number(CFMutableDictionaryRef into, CFStringRef key, int32_t value) {
  CFNumberRef const number = CFNumberCreate(kCFAllocatorDefault, kCFNumberSInt32Type, &value);
  if (number == NULL) return false;
  CFDictionarySetValue(into, key, number);
  CFRelease(number);
  return true;
}

sbm_picture* sbm_picture_create(uint32_t width, uint32_t height, sbm_error* error) {
  IOSurfaceRef surface = NULL;
  CFMutableDictionaryRef const properties = CFDictionaryCreateMutable(
      kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
  if (properties != NULL) {
    if (set_number(properties, kIOSurfaceWidth, (int32_t)width) &&
        set_number(properties, kIOSurfaceHeight, (int32_t)height) &&
        set_number(properties, kIOSurfaceBytesPerElement, BYTES_PER_PIXEL) &&
        set_number(properties, kIOSurfacePixelFormat, (int32_t)kCVPixelFormatType_32BGRA))
      surface = IOSurfaceCreate(properties);
    CFRelease(properties);
  }
  if (surface == NULL) {
    sbm_error_set(error, "SURFACE_NO_MEMORY", "Close other programs, or use smaller desktops.",
                  "An IOSurface of %ux%u cannot be made.", width, height);
    return NULL;
  }
  return wrap(surface, width, height, false, error);
}

sbm_picture* sbm_picture_ref(sbm_picture* picture) {
  atomic_fetch_add(&picture->references, 1);
  return picture;
}

void sbm_picture_unref(sbm_picture* picture) {
  if (picture == NULL || atomic_fetch_sub(&picture->references, 1) != 1) return;
  CVPixelBufferRelease(picture->buffer);
  CFRelease(picture->surface);
  free(picture);
}

sbm_picture* sbm_picture_hold(sbm_picture* picture) {
  IOSurfaceIncrementUseCount(picture->surface);
  return sbm_picture_ref(picture);
}

void sbm_picture_release(sbm_picture* picture) {
  if (picture == NULL) return;
  IOSurfaceDecrementUseCount(picture->surface);
  sbm_picture_unref(picture);
}

bool sbm_picture_in_use(const sbm_picture* picture) {
  return IOSurfaceIsInUse(picture->surface);
}

uint32_t sbm_picture_width(const sbm_picture* picture) {
  return picture->width;
}
uint32_t sbm_picture_height(const sbm_picture* picture) {
  return picture->height;
}
bool sbm_picture_y_inverted(const sbm_picture* picture) {
  return picture->inverted;
}
CVPixelBufferRef sbm_picture_buffer(const sbm_picture* picture) {
  return picture->buffer;
}

/// A row of the crop, counted from the upper edge of the picture. Only while locked.
static const uint8_t* row_of(const sbm_picture* picture, const struct sb_rect* crop, uint32_t y) {
  const uint32_t line = crop->y + y;
  const size_t row = picture->inverted ? picture->height - 1 - line : line;
  const uint8_t* const base = IOSurfaceGetBaseAddress(picture->surface);
  if (base == NULL) return NULL;
  return base + row * IOSurfaceGetBytesPerRow(picture->surface) + (size_t)crop->x * BYTES_PER_PIXEL;
}

static bool within(const sbm_picture* picture, const struct sb_rect* crop) {
  return crop->width > 0 && crop->height > 0 && crop->x <= picture->width &&
         crop->width <= picture->width - crop->x && crop->y <= picture->height &&
         crop->height <= picture->height - crop->y;
}

bool sbm_picture_copy(sbm_picture* to, sbm_picture* from, const struct sb_rect* crop) {
  if (!within(from, crop) || crop->width > to->width || crop->height > to->height) return false;
  if (IOSurfaceLock(from->surface, kIOSurfaceLockReadOnly, NULL) != 0) return false;
  bool done = false;
  if (IOSurfaceLock(to->surface, 0, NULL) == 0) {
    const size_t bytes = (size_t)crop->width * BYTES_PER_PIXEL;
    const size_t stride = IOSurfaceGetBytesPerRow(to->surface);
    uint8_t* const target = IOSurfaceGetBaseAddress(to->surface);
    done = target != NULL;
    for (uint32_t y = 0; y < to->height && done; y++) {
      const uint8_t* const row = row_of(from, crop, y < crop->height ? y : crop->height - 1);
      done = row != NULL;
      if (!done) break;
      uint8_t* const line = target + y * stride;
      memcpy(line, row, bytes);
      for (uint32_t x = crop->width; x < to->width; x++)
        memcpy(line + (size_t)x * BYTES_PER_PIXEL, line + bytes - BYTES_PER_PIXEL, BYTES_PER_PIXEL);
    }
    (void)IOSurfaceUnlock(to->surface, 0, NULL);
  }
  (void)IOSurfaceUnlock(from->surface, kIOSurfaceLockReadOnly, NULL);
  return done;
}

bool sbm_picture_paint(sbm_picture* picture,
                       void (*paint)(void* context, uint8_t* pixels, size_t stride),
                       void* context) {
  if (IOSurfaceLock(picture->surface, 0, NULL) != 0) return false;
  uint8_t* const pixels = IOSurfaceGetBaseAddress(picture->surface);
  if (pixels != NULL) paint(context, pixels, IOSurfaceGetBytesPerRow(picture->surface));
  (void)IOSurfaceUnlock(picture->surface, 0, NULL);
  return pixels != NULL;
}

bool sbm_picture_read(sbm_picture* picture, const struct sb_rect* crop, uint8_t* to) {
  if (!within(picture, crop)) return false;
  if (IOSurfaceLock(picture->surface, kIOSurfaceLockReadOnly, NULL) != 0) return false;
  const size_t bytes = (size_t)crop->width * BYTES_PER_PIXEL;
  bool done = true;
  for (uint32_t y = 0; y < crop->height && done; y++) {
    const uint8_t* const row = row_of(picture, crop, y);
    done = row != NULL;
    if (done) memcpy(to + y * bytes, row, bytes);
  }
  (void)IOSurfaceUnlock(picture->surface, kIOSurfaceLockReadOnly, NULL);
  return done;
}
