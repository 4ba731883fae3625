// SPDX-License-Identifier: Apache-2.0
// A fake's declarations of the part of CoreMedia that native/host-macos uses; see CoreFoundation.h.
#ifndef SCANBRIDGE_FAKE_COREMEDIA_H_
#define SCANBRIDGE_FAKE_COREMEDIA_H_

#include <CoreFoundation/CoreFoundation.h>

typedef struct opaqueCMSampleBuffer* CMSampleBufferRef;
typedef struct OpaqueCMBlockBuffer* CMBlockBufferRef;
typedef const struct opaqueCMFormatDescription* CMFormatDescriptionRef;
typedef CMFormatDescriptionRef CMVideoFormatDescriptionRef;

typedef FourCharCode CMVideoCodecType;
enum {
  kCMVideoCodecType_H264 = 0x61766331,  // 'avc1'
  kCMVideoCodecType_HEVC = 0x68766331,  // 'hvc1'
};

typedef int64_t CMTimeValue;
typedef int32_t CMTimeScale;
typedef int64_t CMTimeEpoch;
typedef uint32_t CMTimeFlags;
enum { kCMTimeFlags_Valid = 1 };

// Packed to 4 bytes, as the interface has it: 24 bytes, not 32.
#pragma pack(push, 4)
typedef struct {
  CMTimeValue value;
  CMTimeScale timescale;
  CMTimeFlags flags;
  CMTimeEpoch epoch;
} CMTime;
#pragma pack(pop)

typedef struct {
  int32_t width;
  int32_t height;
} CMVideoDimensions;

extern const CMTime kCMTimeInvalid;
extern const CFStringRef kCMSampleAttachmentKey_NotSync;

CMTime CMTimeMake(int64_t value, int32_t timescale);

CMBlockBufferRef CMSampleBufferGetDataBuffer(CMSampleBufferRef sbuf);
CMFormatDescriptionRef CMSampleBufferGetFormatDescription(CMSampleBufferRef sbuf);
CFArrayRef CMSampleBufferGetSampleAttachmentsArray(CMSampleBufferRef sbuf,
                                                   Boolean createIfNecessary);
Boolean CMSampleBufferDataIsReady(CMSampleBufferRef sbuf);

size_t CMBlockBufferGetDataLength(CMBlockBufferRef theBuffer);
OSStatus CMBlockBufferCopyDataBytes(CMBlockBufferRef theSourceBuffer, size_t offsetToData,
                                    size_t dataLength, void* destination);

OSStatus CMVideoFormatDescriptionGetH264ParameterSetAtIndex(CMFormatDescriptionRef videoDesc,
                                                            size_t parameterSetIndex,
                                                            const uint8_t** parameterSetPointerOut,
                                                            size_t* parameterSetSizeOut,
                                                            size_t* parameterSetCountOut,
                                                            int* NALUnitHeaderLengthOut);
OSStatus CMVideoFormatDescriptionGetHEVCParameterSetAtIndex(CMFormatDescriptionRef videoDesc,
                                                            size_t parameterSetIndex,
                                                            const uint8_t** parameterSetPointerOut,
                                                            size_t* parameterSetSizeOut,
                                                            size_t* parameterSetCountOut,
                                                            int* NALUnitHeaderLengthOut);

#endif
