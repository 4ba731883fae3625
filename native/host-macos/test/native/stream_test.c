// SPDX-License-Identifier: Apache-2.0
// Parameter sets, access units, status codes, memory.
#include <VideoToolbox/VideoToolbox.h>

#include "../../../../test/fakes/apple/src/bit_stream.h"
#include "check.h"
#include "videotoolbox/access_unit.h"
#include "videotoolbox/bits.h"
#include "videotoolbox/memory.h"
#include "videotoolbox/status.h"

static void bits_survive_a_round_trip(void) {
  static sbm_bit_writer writer;
  memset(&writer, 0, sizeof writer);
  for (uint32_t i = 0; i < 300; i++) sbm_bits_write_ue(&writer, i * 7);
  sbm_bits_write(&writer, 32, 0);
  sbm_bits_write(&writer, 32, 0);
  sbm_bits_write(&writer, 32, 0xdeadbeef);
  uint8_t nal[SBM_MAX_PARAMETER_SET];
  const size_t size = sbm_bits_close(&writer, nal, sizeof nal);
  CHECK(size > 0);
  for (size_t i = 2; i < size; i++)
    CHECK(nal[i - 2] != 0 || nal[i - 1] != 0 || nal[i] > 2 || nal[i] == 3);
  static sbm_bit_reader reader;
  CHECK(sbm_bits_open(&reader, nal, size));
  for (uint32_t i = 0; i < 300; i++) CHECK(sbm_bits_ue(&reader) == i * 7);
  CHECK(sbm_bits_read(&reader, 32) == 0 && sbm_bits_read(&reader, 32) == 0);
  CHECK(sbm_bits_read(&reader, 32) == 0xdeadbeef && !reader.failed);
  sbm_bits_skip(&reader, 100000);
  CHECK(reader.failed);
  CHECK(sbm_bits_close(&writer, nal, 3) == 0);
  CHECK(!sbm_bits_open(&reader, nal, 0) && !sbm_bits_open(&reader, nal, SBM_MAX_PARAMETER_SET + 1));
  const uint8_t zeros[8] = {0};
  CHECK(sbm_bits_open(&reader, zeros, sizeof zeros));
  (void)sbm_bits_ue(&reader);
  CHECK(reader.failed);
  const uint8_t long_zeros[9] = {0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
  CHECK(sbm_bits_open(&reader, long_zeros, sizeof long_zeros));
  CHECK(sbm_bits_ue(&reader) == 0 && reader.failed);
  CHECK(sbm_bits_open(&reader, long_zeros + 5, 1));
  CHECK(sbm_bits_read(&reader, 9) == 0 && reader.failed);
}

static void h264_gets_the_promise(void) {
  for (int vui = 0; vui < 2; vui++) {
    fake_parameters sets = {0};
    fake_h264_parameters(&sets, 642, 358, vui, 0);
    uint8_t with[160], again[200];
    sbm_sequence sequence, same;
    const size_t size = sbm_h264_sequence(sets.sets[0].bytes, sets.sets[0].size, with, &sequence);
    CHECK(size >= sets.sets[0].size);
    CHECK(vui == (size == sets.sets[0].size));
    CHECK(strcmp(sequence.codec, "avc1.42c028") == 0);
    CHECK(sequence.width == 642 && sequence.height == 358);
    // What was written has the promise, and so is left as it is.
    CHECK(sbm_h264_sequence(with, size, again, &same) == size);
    CHECK(memcmp(with, again, size) == 0);
    CHECK(same.width == 642 && same.height == 358);
  }
  fake_parameters sets = {0};
  sbm_sequence sequence;
  uint8_t with[160];
  fake_h264_parameters(&sets, 640, 360, true, 2);
  CHECK(sbm_h264_sequence(sets.sets[0].bytes, sets.sets[0].size, with, &sequence) == 0);
}

/// A set with everything in front of the restriction: scaling lists, order type 1, both HRDs.
static void h264_with_everything(void) {
  static sbm_bit_writer w;
  memset(&w, 0, sizeof w);
  sbm_bits_write(&w, 32, 0x67640028);
  sbm_bits_write_ue(&w, 0);
  sbm_bits_write_ue(&w, 1);
  sbm_bits_write_ue(&w, 0);
  sbm_bits_write_ue(&w, 0);
  sbm_bits_write(&w, 2, 1);
  for (int list = 0; list < 8; list++) {
    sbm_bits_write(&w, 1, list == 2);
    // One step down to 0, which ends the list: se(-8) is ue(16).
    if (list == 2) sbm_bits_write_ue(&w, 16);
  }
  sbm_bits_write_ue(&w, 0);
  sbm_bits_write_ue(&w, 1);
  sbm_bits_write(&w, 1, 0);
  sbm_bits_write_ue(&w, 3);
  sbm_bits_write_ue(&w, 4);
  sbm_bits_write_ue(&w, 2);
  sbm_bits_write_ue(&w, 5);
  sbm_bits_write_ue(&w, 6);
  sbm_bits_write_ue(&w, 2);
  sbm_bits_write(&w, 1, 0);
  sbm_bits_write_ue(&w, 119);
  sbm_bits_write_ue(&w, 33);
  // Fields: twice the height, crop in units of four lines.
  sbm_bits_write(&w, 3, 1);
  sbm_bits_write(&w, 1, 1);
  for (int i = 0; i < 4; i++) sbm_bits_write_ue(&w, i == 3 ? 2 : 0);
  sbm_bits_write(&w, 1, 1);
  sbm_bits_write(&w, 1, 1);
  sbm_bits_write(&w, 8, 255);
  sbm_bits_write(&w, 32, 0x00010001);
  sbm_bits_write(&w, 2, 3);
  sbm_bits_write(&w, 5, 0x16);
  sbm_bits_write(&w, 1, 1);
  sbm_bits_write(&w, 24, 0x010101);
  sbm_bits_write(&w, 1, 1);
  sbm_bits_write_ue(&w, 1);
  sbm_bits_write_ue(&w, 1);
  sbm_bits_write(&w, 1, 1);
  sbm_bits_write(&w, 32, 1);
  sbm_bits_write(&w, 32, 120);
  sbm_bits_write(&w, 1, 1);
  for (int hrd = 0; hrd < 2; hrd++) {
    sbm_bits_write(&w, 1, 1);
    sbm_bits_write_ue(&w, 0);
    sbm_bits_write(&w, 8, 0x11);
    sbm_bits_write_ue(&w, 9);
    sbm_bits_write_ue(&w, 9);
    sbm_bits_write(&w, 1, 0);
    sbm_bits_write(&w, 20, 0x12345);
  }
  sbm_bits_write(&w, 1, 0);
  sbm_bits_write(&w, 1, 1);
  sbm_bits_write(&w, 1, 0);
  uint8_t nal[200], with[240], again[280];
  sbm_sequence sequence;
  const size_t size = sbm_bits_close(&w, nal, sizeof nal);
  const size_t longer = sbm_h264_sequence(nal, size, with, &sequence);
  CHECK(longer > size);
  CHECK(strcmp(sequence.codec, "avc1.640028") == 0);
  CHECK(sequence.width == 1920 && sequence.height == 1080);
  CHECK(sbm_h264_sequence(with, longer, again, &sequence) == longer);
  CHECK(memcmp(with, again, longer) == 0);
}

static void hevc_is_read(void) {
  fake_parameters sets = {0};
  sbm_sequence sequence;
  fake_hevc_parameters(&sets, 1920, 1080, 0);
  CHECK(sbm_hevc_sequence(sets.sets[1].bytes, sets.sets[1].size, &sequence));
  CHECK(strcmp(sequence.codec, "hvc1.1.6.L93.90") == 0);
  CHECK(sequence.width == 1920 && sequence.height == 1080);
  CHECK(!sbm_hevc_sequence(sets.sets[0].bytes, sets.sets[0].size, &sequence));
  fake_parameters moving = {0};
  fake_hevc_parameters(&moving, 1920, 1080, 1);
  CHECK(!sbm_hevc_sequence(moving.sets[1].bytes, moving.sets[1].size, &sequence));
}

/// Cut or with a flipped bit a set is read without harm; the sanitizers look.
static void damaged_sets_do_no_harm(void) {
  fake_parameters avc = {0}, hevc = {0};
  fake_h264_parameters(&avc, 640, 360, true, 0);
  fake_hevc_parameters(&hevc, 640, 360, 0);
  sbm_sequence sequence;
  for (int which = 0; which < 2; which++) {
    const size_t size = which == 0 ? avc.sets[0].size : hevc.sets[1].size;
    const uint8_t* const good = which == 0 ? avc.sets[0].bytes : hevc.sets[1].bytes;
    for (size_t bit = 0; bit < size * 8; bit++) {
      uint8_t* const nal = malloc(size);
      uint8_t* const to = malloc(size + SBM_SEQUENCE_GROWTH);
      memcpy(nal, good, size);
      nal[bit / 8] ^= (uint8_t)(1 << bit % 8);
      const size_t most = sbm_h264_sequence(nal, size, to, &sequence);
      CHECK(most <= size + SBM_SEQUENCE_GROWTH);
      CHECK(most == 0 || (sequence.width > 0 && sequence.width <= 16384));
      (void)sbm_hevc_sequence(nal, size, &sequence);
      (void)sbm_h264_sequence(nal, bit / 8, to, &sequence);
      free(nal);
      free(to);
    }
  }
}

static const uint8_t two_units[] = {0, 0, 0, 3, 0x06, 0xaa, 0xbb, 0, 0, 0, 2, 0x65, 0xcc};

static bool convert(CMVideoCodecType codec, const fake_parameters* sets, const uint8_t* bytes,
                    size_t size, size_t split, bool key, sbm_unit* unit, sbm_error* error) {
  CMSampleBufferRef const sample = fake_sample(codec, sets, bytes, size, split, key);
  const bool done = sbm_unit_of_sample(sample, codec, 8, unit, error);
  CFRelease(sample);
  return done;
}

static void samples_become_annex_b(void) {
  fake_parameters sets = {.header = 4};
  fake_h264_parameters(&sets, 640, 360, true, 0);
  for (size_t split = 0; split < 5; split++) {
    sbm_unit unit;
    sbm_error error;
    CHECK(convert(kCMVideoCodecType_H264, &sets, two_units, sizeof two_units, split, true, &unit,
                  &error));
    const uint8_t* at = unit.memory + 8;
    CHECK(unit.headroom == 8 && unit.key);
    CHECK(strcmp(unit.sequence.codec, "avc1.42c028") == 0);
    for (size_t i = 0; i < 2; i++) {
      CHECK(memcmp(at, "\0\0\0\1", 4) == 0);
      CHECK(memcmp(at + 4, sets.sets[i].bytes, sets.sets[i].size) == 0);
      at += 4 + sets.sets[i].size;
    }
    CHECK(memcmp(at, "\0\0\0\1\x06\xaa\xbb\0\0\0\1\x65\xcc", 13) == 0);
    CHECK(at + 13 == unit.memory + 8 + unit.size);
    free(unit.memory);
    CHECK(convert(kCMVideoCodecType_H264, &sets, two_units, sizeof two_units, split, false, &unit,
                  &error));
    CHECK(!unit.key && unit.size == 13);
    free(unit.memory);
  }
}

static void lengths_of_other_sizes(void) {
  sbm_unit unit;
  sbm_error error;
  fake_parameters sets = {0};
  fake_h264_parameters(&sets, 640, 360, true, 0);
  const uint8_t one[] = {1, 0x41, 2, 0x41, 0x42};
  sets.header = 1;
  CHECK(convert(kCMVideoCodecType_H264, &sets, one, sizeof one, 2, false, &unit, &error));
  CHECK(unit.size == 11 && memcmp(unit.memory + 8, "\0\0\0\1\x41\0\0\0\1\x41\x42", 11) == 0);
  free(unit.memory);
  sets.header = 5;
  CHECK(!convert(kCMVideoCodecType_H264, &sets, one, sizeof one, 0, false, &unit, &error));
  sets.header = 0;
  CHECK(!convert(kCMVideoCodecType_H264, &sets, one, sizeof one, 0, false, &unit, &error));
}

static void bad_samples_are_refused(void) {
  sbm_unit unit;
  sbm_error error;
  fake_parameters sets = {.header = 4};
  fake_h264_parameters(&sets, 640, 360, true, 0);
  const uint8_t longer[] = {0, 0, 0, 9, 0x65};
  const uint8_t empty[] = {0, 0, 0, 0};
  const uint8_t cut[] = {0, 0, 0, 1, 0x65, 0, 0};
  const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x65};
  const struct {
    const uint8_t* bytes;
    size_t size;
  } bad[] = {{longer, sizeof longer},
             {empty, sizeof empty},
             {cut, sizeof cut},
             {huge, sizeof huge},
             {cut, 0}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(!convert(kCMVideoCodecType_H264, &sets, bad[i].bytes, bad[i].size, 0, false, &unit,
                   &error));
    CHECK(strcmp(error.code, "ENCODER_FAILED") == 0 && unit.memory == NULL);
  }
  fake_parameters other = {.header = 4};
  CHECK(!convert(kCMVideoCodecType_H264, &other, two_units, sizeof two_units, 0, true, &unit,
                 &error));
  fake_parameters only = {.header = 4, .count = 1};
  only.sets[0] = sets.sets[1];
  CHECK(
      !convert(kCMVideoCodecType_H264, &only, two_units, sizeof two_units, 0, true, &unit, &error));
  fake_parameters reordered = {.header = 4};
  fake_h264_parameters(&reordered, 640, 360, true, 2);
  CHECK(!convert(kCMVideoCodecType_H264, &reordered, two_units, sizeof two_units, 0, true, &unit,
                 &error));
  CHECK(strstr(error.message, "reordered") != NULL);
}

static void status_codes_have_names(void) {
  sbm_error error;
  CHECK(sbm_status_error(kVTInvalidSessionErr, "encode", &error));
  CHECK(strcmp(error.code, "ENCODER_DIED") == 0 && error.status == kVTInvalidSessionErr);
  CHECK(strstr(error.message, "encode") != NULL && error.remedy[0] != '\0');
  CHECK(sbm_status_error(kVTVideoEncoderNotAvailableNowErr, "start", &error));
  CHECK(strcmp(error.code, "ENCODER_BUSY") == 0);
  CHECK(!sbm_status_error(kVTCouldNotFindVideoEncoderErr, "start", &error));
  CHECK(strcmp(error.code, "ENCODER_MISSING") == 0);
  CHECK(!sbm_status_error(-1, "start", &error));
  CHECK(strcmp(error.code, "ENCODER_FAILED") == 0 && strstr(error.message, "-1") != NULL);
}

static void memory_has_a_limit(void) {
  const size_t five_k = sbm_memory_estimate(5120, 2880);
  CHECK(five_k > 300u << 20);
  CHECK(sbm_memory_reserve(five_k) && sbm_memory_reserve(five_k));
  CHECK(!sbm_memory_reserve(five_k));
  CHECK(sbm_memory_reserved() == 2 * five_k);
  sbm_memory_release(five_k);
  CHECK(sbm_memory_reserve(five_k));
  sbm_memory_release(2 * five_k);
  CHECK(sbm_memory_reserved() == 0 && !sbm_memory_reserve(SIZE_MAX));
}

int main(int argc, char** argv) {
  RUN(bits_survive_a_round_trip);
  RUN(h264_gets_the_promise);
  RUN(h264_with_everything);
  RUN(hevc_is_read);
  RUN(damaged_sets_do_no_harm);
  RUN(samples_become_annex_b);
  RUN(lengths_of_other_sizes);
  RUN(bad_samples_are_refused);
  RUN(status_codes_have_names);
  RUN(memory_has_a_limit);
  return 0;
}
