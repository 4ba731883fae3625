// SPDX-License-Identifier: Apache-2.0
#include "videotoolbox/access_unit.h"

#include <scanbridge/viewer_video.h>
#include <stdlib.h>
#include <string.h>

#include "videotoolbox/bits.h"

enum { START_CODE = 4, MAX_SETS = 8, MAX_NAL_UNITS = 4096 };

static const uint8_t start_code[START_CODE] = {0, 0, 0, 1};

/// Parameter sets with start codes, ready to be copied.
typedef struct {
  uint8_t bytes[MAX_SETS * (START_CODE + SBM_MAX_PARAMETER_SET + SBM_SEQUENCE_GROWTH)];
  size_t size;
} parameter_sets;

static bool bad(sbm_error* error, const char* what) {
  sbm_error_set(error, "ENCODER_FAILED", "Use another codec, and report it.",
                "What VideoToolbox encoded cannot be shown: %s.", what);
  return false;
}

static OSStatus get_set(CMFormatDescriptionRef format, CMVideoCodecType codec, size_t index,
                        const uint8_t** bytes, size_t* size, size_t* count, int* header) {
  return codec == kCMVideoCodecType_HEVC ? CMVideoFormatDescriptionGetHEVCParameterSetAtIndex(
                                               format, index, bytes, size, count, header)
                                         : CMVideoFormatDescriptionGetH264ParameterSetAtIndex(
                                               format, index, bytes, size, count, header);
}

static bool is_key(CMSampleBufferRef sample) {
  CFArrayRef const attachments = CMSampleBufferGetSampleAttachmentsArray(sample, false);
  if (attachments == NULL || CFArrayGetCount(attachments) == 0) return true;
  CFDictionaryRef const first = CFArrayGetValueAtIndex(attachments, 0);
  CFBooleanRef const not_sync = CFDictionaryGetValue(first, kCMSampleAttachmentKey_NotSync);
  return not_sync == NULL || !CFBooleanGetValue(not_sync);
}

/// The sets belong to the format description, so they are copied.
static bool collect_sets(CMFormatDescriptionRef format, CMVideoCodecType codec, size_t count,
                         parameter_sets* sets, sbm_sequence* sequence, sbm_error* error) {
  const bool hevc = codec == kCMVideoCodecType_HEVC;
  bool found = false;
  if (count > MAX_SETS) return bad(error, "it has too many parameter sets");
  for (size_t i = 0; i < count; i++) {
    const uint8_t* bytes = NULL;
    size_t size = 0;
    if (get_set(format, codec, i, &bytes, &size, NULL, NULL) != noErr || bytes == NULL ||
        size == 0 || size > SBM_MAX_PARAMETER_SET) {
      return bad(error, "a parameter set is missing or too long");
    }
    memcpy(sets->bytes + sets->size, start_code, START_CODE);
    sets->size += START_CODE;
    uint8_t* const to = sets->bytes + sets->size;
    const bool is_sequence = hevc ? (bytes[0] >> 1 & 0x3f) == 33 : (bytes[0] & 0x1f) == 7;
    if (!is_sequence) {
      memcpy(to, bytes, size);
    } else if (hevc) {
      if (!sbm_hevc_sequence(bytes, size, sequence))
        return bad(error, "its sequence parameter set is damaged or lets pictures be reordered");
      memcpy(to, bytes, size);
    } else {
      size = sbm_h264_sequence(bytes, size, to, sequence);
      if (size == 0)
        return bad(error, "its sequence parameter set is damaged or lets pictures be reordered");
    }
    found = found || is_sequence;
    sets->size += size;
  }
  return found || bad(error, "a key frame has no sequence parameter set");
}

/// The length in front of the NAL unit at `at`; 0 when it does not fit the block.
static size_t nal_size(CMBlockBufferRef block, size_t total, size_t at, size_t header) {
  uint8_t bytes[4];
  if (header > total - at || CMBlockBufferCopyDataBytes(block, at, header, bytes) != noErr)
    return 0;
  size_t size = 0;
  for (size_t i = 0; i < header; i++) size = size << 8 | bytes[i];
  return size <= total - at - header ? size : 0;
}

bool sbm_unit_of_sample(CMSampleBufferRef sample, CMVideoCodecType codec, size_t headroom,
                        sbm_unit* unit, sbm_error* error) {
  memset(unit, 0, sizeof *unit);
  CMBlockBufferRef const block = CMSampleBufferGetDataBuffer(sample);
  CMFormatDescriptionRef const format = CMSampleBufferGetFormatDescription(sample);
  if (block == NULL || format == NULL || !CMSampleBufferDataIsReady(sample))
    return bad(error, "a sample is empty");
  size_t count = 0;
  int nal_header = 0;
  if (get_set(format, codec, 0, NULL, NULL, &count, &nal_header) != noErr)
    return bad(error, "its format is not that of the codec");
  if (nal_header < 1 || nal_header > 4) return bad(error, "its lengths have no known size");
  const size_t header = (size_t)nal_header;
  parameter_sets sets;
  sets.size = 0;
  unit->key = is_key(sample);
  if (unit->key && !collect_sets(format, codec, count, &sets, &unit->sequence, error)) return false;

  const size_t total = CMBlockBufferGetDataLength(block);
  if (total > SBV_MAX_ACCESS_UNIT / 2) return bad(error, "an access unit is too large");
  size_t nal_units = 0;
  for (size_t at = 0; at < total; nal_units++) {
    const size_t size = nal_size(block, total, at, header);
    if (size == 0 || nal_units == MAX_NAL_UNITS) return bad(error, "a NAL unit's length is wrong");
    at += header + size;
  }
  if (nal_units == 0) return bad(error, "an access unit is empty");

  unit->headroom = headroom;
  unit->size = sets.size + total - nal_units * header + nal_units * START_CODE;
  unit->memory = malloc(headroom + unit->size);
  if (unit->memory == NULL) {
    sbm_error_set(error, "INTERNAL", "Close other programs.", "Memory ran out.");
    return false;
  }
  uint8_t* to = unit->memory + headroom;
  memcpy(to, sets.bytes, sets.size);
  to += sets.size;
  for (size_t at = 0; at < total;) {
    const size_t size = nal_size(block, total, at, header);
    memcpy(to, start_code, START_CODE);
    // The second reading of a length is checked as the first was: it decides what is written.
    if (size == 0 || size > (size_t)(unit->memory + headroom + unit->size - to) - START_CODE ||
        CMBlockBufferCopyDataBytes(block, at + header, size, to + START_CODE) != noErr) {
      free(unit->memory);
      unit->memory = NULL;
      return bad(error, "a block cannot be read");
    }
    to += START_CODE + size;
    at += header + size;
  }
  return true;
}
