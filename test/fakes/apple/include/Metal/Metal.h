// SPDX-License-Identifier: Apache-2.0
// Declarations of the part of Metal that frame-export-metal.m uses, for compiling it where there is no
// Metal; there is no implementation. Written from the public documentation, see CoreFoundation.h.
#ifndef SCANBRIDGE_FAKE_METAL_H_
#define SCANBRIDGE_FAKE_METAL_H_

#import <IOSurface/IOSurface.h>

typedef unsigned long NSUInteger;
typedef long NSInteger;
typedef bool BOOL;
#define NO false

#define MIN(a, b) ((a) < (b) ? (a) : (b))

@protocol NSObject
- (instancetype)retain;
- (oneway void)release;
@end

__attribute__((objc_root_class))
@interface NSObject <NSObject>
@end

typedef enum : NSUInteger {
  MTLPixelFormatBGRA8Unorm = 80,
  MTLPixelFormatBGRA8Unorm_sRGB = 81,
} MTLPixelFormat;
typedef enum : NSUInteger { MTLTextureType2D = 2 } MTLTextureType;
typedef enum : NSUInteger { MTLCommandBufferStatusCompleted = 4 } MTLCommandBufferStatus;

typedef struct {
  NSUInteger x, y, z;
} MTLOrigin;
typedef struct {
  NSUInteger width, height, depth;
} MTLSize;

static inline MTLOrigin MTLOriginMake(NSUInteger x, NSUInteger y, NSUInteger z) {
  return (MTLOrigin){x, y, z};
}
static inline MTLSize MTLSizeMake(NSUInteger width, NSUInteger height, NSUInteger depth) {
  return (MTLSize){width, height, depth};
}

@protocol MTLDevice;

@interface MTLTextureDescriptor : NSObject
+ (MTLTextureDescriptor*)texture2DDescriptorWithPixelFormat:(MTLPixelFormat)pixelFormat
                                                      width:(NSUInteger)width
                                                     height:(NSUInteger)height
                                                  mipmapped:(BOOL)mipmapped;
@end

@protocol MTLTexture <NSObject>
- (MTLPixelFormat)pixelFormat;
- (MTLTextureType)textureType;
- (NSUInteger)sampleCount;
- (NSUInteger)width;
- (NSUInteger)height;
- (id<MTLDevice>)device;
@end

@protocol MTLBlitCommandEncoder <NSObject>
- (void)copyFromTexture:(id<MTLTexture>)sourceTexture
            sourceSlice:(NSUInteger)sourceSlice
            sourceLevel:(NSUInteger)sourceLevel
           sourceOrigin:(MTLOrigin)sourceOrigin
             sourceSize:(MTLSize)sourceSize
              toTexture:(id<MTLTexture>)destinationTexture
       destinationSlice:(NSUInteger)destinationSlice
       destinationLevel:(NSUInteger)destinationLevel
      destinationOrigin:(MTLOrigin)destinationOrigin;
- (void)endEncoding;
@end

@protocol MTLCommandBuffer;
typedef void (^MTLCommandBufferHandler)(id<MTLCommandBuffer> buffer);

@protocol MTLCommandBuffer <NSObject>
- (id<MTLBlitCommandEncoder>)blitCommandEncoder;
- (void)addCompletedHandler:(MTLCommandBufferHandler)block;
- (void)commit;
- (MTLCommandBufferStatus)status;
@end

@protocol MTLCommandQueue <NSObject>
- (id<MTLDevice>)device;
- (id<MTLCommandBuffer>)commandBuffer;
@end

@protocol MTLDevice <NSObject>
- (id<MTLCommandQueue>)newCommandQueue;
- (id<MTLTexture>)newTextureWithDescriptor:(MTLTextureDescriptor*)descriptor
                                 iosurface:(IOSurfaceRef)iosurface
                                     plane:(NSUInteger)plane;
@end

#endif
