// SPDX-License-Identifier: Apache-2.0
// A fake's declarations of the part of VideoToolbox that native/host-macos uses; see
// CoreFoundation.h.
#ifndef SCANBRIDGE_FAKE_VIDEOTOOLBOX_H_
#define SCANBRIDGE_FAKE_VIDEOTOOLBOX_H_

#include <CoreMedia/CoreMedia.h>
#include <CoreVideo/CoreVideo.h>

typedef struct OpaqueVTCompressionSession* VTCompressionSessionRef;
typedef CFTypeRef VTSessionRef;

typedef uint32_t VTEncodeInfoFlags;
enum {
  kVTEncodeInfo_Asynchronous = 1,
  kVTEncodeInfo_FrameDropped = 2,
};

enum {
  kVTPropertyNotSupportedErr = -12900,
  kVTPropertyReadOnlyErr = -12901,
  kVTParameterErr = -12902,
  kVTInvalidSessionErr = -12903,
  kVTAllocationFailedErr = -12904,
  kVTCouldNotCreateInstanceErr = -12907,
  kVTCouldNotFindVideoEncoderErr = -12908,
  kVTVideoEncoderMalfunctionErr = -12912,
  kVTVideoEncoderNotAvailableNowErr = -12915,
  kVTVideoEncoderAuthorizationErr = -12211,
  kVTSessionMalfunctionErr = -17691,
};

typedef void (*VTCompressionOutputCallback)(void* outputCallbackRefCon, void* sourceFrameRefCon,
                                            OSStatus status, VTEncodeInfoFlags infoFlags,
                                            CMSampleBufferRef sampleBuffer);

extern const CFStringRef kVTVideoEncoderSpecification_EnableHardwareAcceleratedVideoEncoder;
extern const CFStringRef kVTVideoEncoderSpecification_EnableLowLatencyRateControl;
extern const CFStringRef kVTCompressionPropertyKey_RealTime;
extern const CFStringRef kVTCompressionPropertyKey_AllowFrameReordering;
extern const CFStringRef kVTCompressionPropertyKey_ProfileLevel;
extern const CFStringRef kVTCompressionPropertyKey_AverageBitRate;
extern const CFStringRef kVTCompressionPropertyKey_ExpectedFrameRate;
extern const CFStringRef kVTCompressionPropertyKey_MaxKeyFrameInterval;
extern const CFStringRef kVTCompressionPropertyKey_MaxFrameDelayCount;
extern const CFStringRef kVTCompressionPropertyKey_PrioritizeEncodingSpeedOverQuality;
extern const CFStringRef kVTCompressionPropertyKey_ColorPrimaries;
extern const CFStringRef kVTCompressionPropertyKey_TransferFunction;
extern const CFStringRef kVTCompressionPropertyKey_YCbCrMatrix;
extern const CFStringRef kVTCompressionPropertyKey_UsingHardwareAcceleratedVideoEncoder;
extern const CFStringRef kVTProfileLevel_H264_ConstrainedHigh_AutoLevel;
extern const CFStringRef kVTProfileLevel_H264_High_AutoLevel;
extern const CFStringRef kVTProfileLevel_HEVC_Main_AutoLevel;
extern const CFStringRef kVTEncodeFrameOptionKey_ForceKeyFrame;
// Values of the three colour keys; declared by CoreMedia in the real interface.
extern const CFStringRef kCMFormatDescriptionColorPrimaries_ITU_R_709_2;
extern const CFStringRef kCMFormatDescriptionTransferFunction_ITU_R_709_2;
extern const CFStringRef kCMFormatDescriptionYCbCrMatrix_ITU_R_709_2;

OSStatus VTCompressionSessionCreate(
    CFAllocatorRef allocator, int32_t width, int32_t height, CMVideoCodecType codecType,
    CFDictionaryRef encoderSpecification, CFDictionaryRef sourceImageBufferAttributes,
    CFAllocatorRef compressedDataAllocator, VTCompressionOutputCallback outputCallback,
    void* outputCallbackRefCon, VTCompressionSessionRef* compressionSessionOut);
void VTCompressionSessionInvalidate(VTCompressionSessionRef session);
OSStatus VTCompressionSessionPrepareToEncodeFrames(VTCompressionSessionRef session);
OSStatus VTCompressionSessionEncodeFrame(VTCompressionSessionRef session,
                                         CVImageBufferRef imageBuffer, CMTime presentationTimeStamp,
                                         CMTime duration, CFDictionaryRef frameProperties,
                                         void* sourceFrameRefcon, VTEncodeInfoFlags* infoFlagsOut);
OSStatus VTSessionSetProperty(VTSessionRef session, CFStringRef propertyKey,
                              CFTypeRef propertyValue);
OSStatus VTSessionCopyProperty(VTSessionRef session, CFStringRef propertyKey,
                               CFAllocatorRef allocator, void* propertyValueOut);

#endif
