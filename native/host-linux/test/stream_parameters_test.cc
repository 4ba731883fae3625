// SPDX-License-Identifier: Apache-2.0
#include "encode/stream_parameters.h"

#include <gtest/gtest.h>

#include <random>

#include "encode/annexb.h"
#include "encode/av1_sequence.h"
#include "encode/bits.h"
#include "encode/h264_sps.h"
#include "encode/hevc_sps.h"
#include "encode/vp9_header.h"

namespace scanbridge::host {
namespace {

using Bytes = std::vector<uint8_t>;

/// Of HEVC Main, level 3.1, 1280x720, no reordering, written by hand after H.265 7.3.2.2.
Bytes HevcSpsNal(uint32_t reorder, uint32_t height_crop = 0) {
  BitWriter bits;
  bits.Write(0, 4);
  bits.Write(0, 3);
  bits.Write(1, 1);
  bits.Write(0, 2);
  bits.Write(0, 1);
  bits.Write(1, 5);
  bits.Write(0x60000000, 32);
  bits.Write(0x90, 8);
  for (int i = 0; i < 5; i++) bits.Write(0, 8);
  bits.Write(93, 8);
  bits.Unsigned(0);
  bits.Unsigned(1);
  bits.Unsigned(1280);
  bits.Unsigned(720);
  bits.Write(height_crop > 0, 1);
  if (height_crop > 0) {
    for (const uint32_t side : {0u, 0u, 0u, height_crop}) bits.Unsigned(side);
  }
  bits.Unsigned(0);
  bits.Unsigned(0);
  bits.Unsigned(4);
  bits.Write(1, 1);
  bits.Unsigned(1);
  bits.Unsigned(reorder);
  bits.Unsigned(0);
  bits.Write(1, 1);
  Bytes nal{0x42, 0x01};
  size_t zeros = 0;
  for (const uint8_t byte : bits.bytes()) {
    if (zeros >= 2 && byte <= 3) {
      nal.push_back(3);
      zeros = 0;
    }
    zeros = byte == 0 ? zeros + 1 : 0;
    nal.push_back(byte);
  }
  return nal;
}

Bytes AnnexB(const Bytes& nal) {
  Bytes stream{0, 0, 0, 1, 0x46, 0x01, 0x50, 0, 0, 1};
  stream.insert(stream.end(), nal.begin(), nal.end());
  stream.insert(stream.end(), {0, 0, 1, 0x26, 0x01, 0xaf});
  return stream;
}

TEST(HevcSps, IsRead) {
  const auto sps = ParseHevcSps(HevcSpsNal(0));
  ASSERT_TRUE(sps);
  EXPECT_EQ(sps->Codec(), "hvc1.1.6.L93.90");
  EXPECT_EQ(sps->width, 1280u);
  EXPECT_EQ(sps->height, 720u);
  EXPECT_EQ(ParseHevcSps(HevcSpsNal(0, 4))->height, 712u);
}

TEST(HevcSps, AStreamThatReordersIsRefused) {
  const auto fine = ReadParameters(Codec::kHevc, AnnexB(HevcSpsNal(0)), 60);
  ASSERT_TRUE(std::holds_alternative<StreamParameters>(fine)) << std::get<std::string>(fine);
  const auto bad = ReadParameters(Codec::kHevc, AnnexB(HevcSpsNal(2)), 60);
  ASSERT_TRUE(std::holds_alternative<std::string>(bad));
}

TEST(Av1Sequence, IsReadBehindATemporalDelimiter) {
  BitWriter bits;
  bits.Write(0, 3);  // profile
  bits.Write(0, 2);  // still, reduced
  bits.Write(0, 1);  // timing
  bits.Write(0, 1);  // display delay
  bits.Write(0, 5);  // one operating point
  bits.Write(0, 12);
  bits.Write(9, 5);  // level 4.1
  bits.Write(1, 1);  // high tier
  bits.Write(10, 4);
  bits.Write(10, 4);
  bits.Write(1919, 11);
  bits.Write(1079, 11);
  bits.Write(0, 1);  // frame ids
  bits.Write(0, 3);
  bits.Write(0, 4);
  bits.Write(0, 1);  // order hint
  bits.Write(1, 1);  // screen content: by frame
  bits.Write(1, 1);
  bits.Write(0, 3);
  bits.Write(1, 1);  // 10 bit
  bits.Write(0, 8);
  Bytes unit{0x12, 0x00, 0x0a, static_cast<uint8_t>(bits.bytes().size())};
  unit.insert(unit.end(), bits.bytes().begin(), bits.bytes().end());
  const auto read = ReadParameters(Codec::kAv1, unit, 60);
  ASSERT_TRUE(std::holds_alternative<StreamParameters>(read)) << std::get<std::string>(read);
  EXPECT_EQ(std::get<StreamParameters>(read).codec, "av01.0.09H.10");
  EXPECT_EQ(std::get<StreamParameters>(read).width, 1920u);
  EXPECT_EQ(std::get<StreamParameters>(read).height, 1080u);
}

TEST(Vp9Header, SaysSizeAndLevel) {
  BitWriter bits;
  bits.Write(2, 2);
  bits.Write(0, 2);
  bits.Write(0, 2);
  bits.Write(2, 2);
  bits.Write(0x498342, 24);
  bits.Write(2, 3);
  bits.Write(0, 1);
  bits.Write(1279, 16);
  bits.Write(719, 16);
  bits.Write(0, 8);
  const auto header = ParseVp9Header(bits.bytes());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->width, 1280u);
  EXPECT_EQ(header->Codec(30), "vp09.00.31.08");
  EXPECT_EQ(header->Codec(60), "vp09.00.40.08");
  EXPECT_FALSE(ParseVp9Header(std::span(bits.bytes()).subspan(0, 8)));
}

/// Baseline, 320x192 after 7.3.2.1.1 of H.264; with a VUI that says nothing of restrictions, or
/// none.
Bytes H264SpsNal(bool vui) {
  BitWriter bits;
  bits.Write(66, 8);
  bits.Write(0xc0, 8);
  bits.Write(13, 8);
  bits.Unsigned(0);
  bits.Unsigned(0);
  bits.Unsigned(2);
  bits.Unsigned(1);
  bits.Write(0, 1);
  bits.Unsigned(19);
  bits.Unsigned(11);
  bits.Write(1, 1);
  bits.Write(1, 1);
  bits.Write(0, 1);
  bits.Write(vui, 1);
  if (vui) {
    bits.Write(0, 4);
    bits.Write(1, 1);  // timing
    bits.Write(1, 32);
    bits.Write(120, 32);
    bits.Write(1, 1);
    bits.Write(0, 3);
    bits.Write(0, 1);  // restrictions
  }
  bits.Write(1, 1);
  Bytes nal{0x67};
  size_t zeros = 0;
  for (const uint8_t byte : bits.bytes()) {
    if (zeros >= 2 && byte <= 3) {
      nal.push_back(3);
      zeros = 0;
    }
    zeros = byte == 0 ? zeros + 1 : 0;
    nal.push_back(byte);
  }
  return nal;
}

TEST(H264Sps, APromiseIsAddedWhereAnEncoderGivesNone) {
  for (const bool vui : {false, true}) {
    SCOPED_TRACE(vui);
    const Bytes nal = H264SpsNal(vui);
    const auto before = ParseSps(nal);
    ASSERT_TRUE(before);
    EXPECT_FALSE(before->max_num_reorder_frames);
    const Bytes promised = PromiseOrder(nal, *before);
    const auto after = ParseSps(promised);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->max_num_reorder_frames, 0u);
    EXPECT_EQ(after->Codec(), before->Codec());
    EXPECT_EQ(after->width, 320u);
    EXPECT_EQ(after->height, 192u);
    // What is promised already needs no promise.
    const auto again = ReadParameters(Codec::kH264, AnnexB(promised), 60);
    ASSERT_TRUE(std::holds_alternative<StreamParameters>(again));
    EXPECT_TRUE(std::get<StreamParameters>(again).replacement.empty());
  }
}

TEST(StreamParameters, RandomBytesAreReadOrRefused) {
  std::mt19937 random(7);
  const Bytes seeds[] = {AnnexB(HevcSpsNal(0)), AnnexB(H264SpsNal(true))};
  for (int i = 0; i < 20'000; i++) {
    Bytes bytes = seeds[i % 2];
    bytes.resize(random() % (bytes.size() + 1));
    for (int k = 0; k < 4 && !bytes.empty(); k++) {
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    }
    for (const Codec codec : {Codec::kH264, Codec::kHevc, Codec::kAv1, Codec::kVp9}) {
      (void)ReadParameters(codec, bytes, 60);
    }
  }
}

}  // namespace
}  // namespace scanbridge::host
