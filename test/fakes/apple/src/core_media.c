// SPDX-License-Identifier: Apache-2.0
#include "core_media.h"

#include <stdlib.h>
#include <string.h>

FAKE_CONSTANT(CFStringRef, kCMSampleAttachmentKey_NotSync);
FAKE_CONSTANT(CFStringRef, kCMFormatDescriptionColorPrimaries_ITU_R_709_2);
FAKE_CONSTANT(CFStringRef, kCMFormatDescriptionTransferFunction_ITU_R_709_2);
FAKE_CONSTANT(CFStringRef, kCMFormatDescriptionYCbCrMatrix_ITU_R_709_2);
const CMTime kCMTimeInvalid = {0};

CMTime CMTimeMake(int64_t value, int32_t timescale) {
  return (CMTime){value, timescale, kCMTimeFlags_Valid, 0};
}

struct block_buffer {
  fake_object object;
  size_t size;
  size_t split;
  /// Pieces are allocations of their own, so that reading past one is noticed.
  uint8_t* pieces[64];
  size_t count;
};

struct format {
  fake_object object;
  CMVideoCodecType codec;
  fake_parameters parameters;
};

struct sample {
  fake_object object;
  struct block_buffer* block;
  struct format* format;
  CFArrayRef attachments;
};

static void destroy_block(fake_object* self) {
  struct block_buffer* const block = (struct block_buffer*)self;
  for (size_t i = 0; i < block->count; i++) free(block->pieces[i]);
}

static void destroy_sample(fake_object* self) {
  struct sample* const sample = (struct sample*)self;
  CFRelease(sample->block);
  CFRelease(sample->format);
  if (sample->attachments != NULL) CFRelease(sample->attachments);
}

static struct block_buffer* make_block(const uint8_t* bytes, size_t size, size_t split) {
  struct block_buffer* const block = fake_new("CMBlockBuffer", sizeof *block, destroy_block);
  const size_t most = sizeof block->pieces / sizeof *block->pieces;
  if (split == 0) split = size;
  if (split * most < size) split = (size + most - 1) / most;
  block->size = size;
  block->split = split;
  for (size_t at = 0; at < size; at += split) {
    const size_t length = size - at < split ? size - at : split;
    uint8_t* const piece = malloc(length);
    if (piece == NULL) abort();
    memcpy(piece, bytes + at, length);
    block->pieces[block->count++] = piece;
  }
  return block;
}

CMSampleBufferRef fake_sample(CMVideoCodecType codec, const fake_parameters* parameters,
                              const uint8_t* bytes, size_t size, size_t split, bool key) {
  struct sample* const sample = fake_new("CMSampleBuffer", sizeof *sample, destroy_sample);
  sample->block = make_block(bytes, size, split);
  sample->format = fake_new("CMFormatDescription", sizeof *sample->format, NULL);
  sample->format->codec = codec;
  sample->format->parameters = *parameters;
  if (!key) {
    CFMutableDictionaryRef const flags = CFDictionaryCreateMutable(
        NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
    CFDictionarySetValue(flags, kCMSampleAttachmentKey_NotSync, kCFBooleanTrue);
    sample->attachments = fake_array((const void*[]){flags}, 1);
  }
  return (CMSampleBufferRef)sample;
}

CMBlockBufferRef CMSampleBufferGetDataBuffer(CMSampleBufferRef ref) {
  return (CMBlockBufferRef)((struct sample*)ref)->block;
}
CMFormatDescriptionRef CMSampleBufferGetFormatDescription(CMSampleBufferRef ref) {
  return (CMFormatDescriptionRef)((struct sample*)ref)->format;
}
CFArrayRef CMSampleBufferGetSampleAttachmentsArray(CMSampleBufferRef ref, Boolean create) {
  (void)create;
  return ((struct sample*)ref)->attachments;
}
Boolean CMSampleBufferDataIsReady(CMSampleBufferRef ref) {
  (void)ref;
  return true;
}
size_t CMBlockBufferGetDataLength(CMBlockBufferRef ref) {
  return ((struct block_buffer*)ref)->size;
}

OSStatus CMBlockBufferCopyDataBytes(CMBlockBufferRef ref, size_t offset, size_t length,
                                    void* destination) {
  const struct block_buffer* const block = (const struct block_buffer*)ref;
  // kCMBlockBufferBadLengthParameterErr
  if (offset > block->size || length > block->size - offset) return -12705;
  uint8_t* to = destination;
  while (length > 0) {
    const size_t piece = offset / block->split;
    const size_t start = offset % block->split;
    size_t part = block->split - start;
    if (part > length) part = length;
    memcpy(to, block->pieces[piece] + start, part);
    to += part;
    offset += part;
    length -= part;
  }
  return noErr;
}

static OSStatus parameter_set(CMFormatDescriptionRef ref, CMVideoCodecType codec, size_t index,
                              const uint8_t** bytes, size_t* size, size_t* count, int* header) {
  const struct format* const format = (const struct format*)ref;
  // kCMFormatDescriptionError_InvalidParameter
  if (format->codec != codec || format->parameters.count == 0) return -12710;
  if (count != NULL) *count = format->parameters.count;
  if (header != NULL) *header = format->parameters.header;
  if (bytes == NULL && size == NULL) return noErr;
  if (index >= format->parameters.count) return -12710;
  if (bytes != NULL) *bytes = format->parameters.sets[index].bytes;
  if (size != NULL) *size = format->parameters.sets[index].size;
  return noErr;
}

OSStatus CMVideoFormatDescriptionGetH264ParameterSetAtIndex(CMFormatDescriptionRef ref,
                                                            size_t index, const uint8_t** bytes,
                                                            size_t* size, size_t* count,
                                                            int* header) {
  return parameter_set(ref, kCMVideoCodecType_H264, index, bytes, size, count, header);
}

OSStatus CMVideoFormatDescriptionGetHEVCParameterSetAtIndex(CMFormatDescriptionRef ref,
                                                            size_t index, const uint8_t** bytes,
                                                            size_t* size, size_t* count,
                                                            int* header) {
  return parameter_set(ref, kCMVideoCodecType_HEVC, index, bytes, size, count, header);
}
