// SPDX-License-Identifier: Apache-2.0
// A fake's declarations of the part of CoreVideo that native/host-macos uses; see CoreFoundation.h.
#ifndef SCANBRIDGE_FAKE_COREVIDEO_H_
#define SCANBRIDGE_FAKE_COREVIDEO_H_

#include <CoreFoundation/CoreFoundation.h>
#include <IOSurface/IOSurface.h>

typedef int32_t CVReturn;
enum { kCVReturnSuccess = 0 };
enum { kCVPixelFormatType_32BGRA = 0x42475241 };  // 'BGRA'

typedef struct __CVBuffer* CVBufferRef;
typedef CVBufferRef CVImageBufferRef;
typedef CVImageBufferRef CVPixelBufferRef;

typedef uint32_t CVAttachmentMode;
enum { kCVAttachmentMode_ShouldPropagate = 1 };

extern const CFStringRef kCVImageBufferColorPrimariesKey;
extern const CFStringRef kCVImageBufferColorPrimaries_ITU_R_709_2;
extern const CFStringRef kCVImageBufferTransferFunctionKey;
extern const CFStringRef kCVImageBufferTransferFunction_sRGB;

CVReturn CVPixelBufferCreateWithIOSurface(CFAllocatorRef allocator, IOSurfaceRef surface,
                                          CFDictionaryRef pixelBufferAttributes,
                                          CVPixelBufferRef* pixelBufferOut);
void CVPixelBufferRelease(CVPixelBufferRef texture);
void CVBufferSetAttachment(CVBufferRef buffer, CFStringRef key, CFTypeRef value,
                           CVAttachmentMode attachmentMode);

#endif
