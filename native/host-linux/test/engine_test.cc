// SPDX-License-Identifier: Apache-2.0
// Engines with real encoders, fed by the real server side of the surface protocol; what comes out
// is decoded.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include "collector.h"
#include "decoder.h"
#include "engine/probe.h"
#include "producer.h"

namespace scanbridge::host::test {
namespace {

EngineOptions Options(const Producer& producer, uint32_t keepalive_ms = 0) {
  EngineOptions options;
  options.source = SurfaceTarget{producer.path(), ScanoutTarget{0}, true};
  options.engine = "x264";
  options.bitrate_kbps = 8000;
  options.max_fps = 240;
  options.keepalive_ms = keepalive_ms;
  return options;
}

class EngineTest : public testing::Test {
 protected:
  /// The engine's client has released the frame.
  void AwaitRelease(uint64_t sequence) {
    const auto release = producer.Expect<sb_release>(SB_MSG_RELEASE, 20'000);
    ASSERT_TRUE(release);
    ASSERT_EQ(release->sequence, sequence);
  }

  Producer producer;
  Collector sink;
};

TEST_F(EngineTest, EncodesWhatIsShownPixelByPixel) {
  for (const char* name : {"x264", "openh264"}) {
    EngineOptions options = Options(producer);
    options.engine = name;
    Collector events;
    Decoder decoder;
    Engine engine(options, events);
    ASSERT_TRUE(producer.Serve());
    SharedPixels pixels(333, 201);
    pixels.Fill(0x000000);
    producer.Surface(1, pixels);
    producer.Frame(1, 1, pixels);
    auto unit = events.Next();
    ASSERT_TRUE(unit) << name;
    EXPECT_TRUE(unit->key());
    EXPECT_EQ(unit->header.sequence, 0u);
    EXPECT_EQ(unit->header.config, events.configs.at(0).id);
    EXPECT_EQ(events.configs[0].width, 333u);
    EXPECT_EQ(events.configs[0].coded_width, 334u);
    EXPECT_EQ(events.configs[0].coded_height, 202u);
    EXPECT_EQ(events.configs[0].codec.substr(0, 9), "avc1.42c0");
    auto picture = decoder.Decode(unit->bytes);
    ASSERT_TRUE(picture);
    EXPECT_EQ(picture->width, 334u);
    EXPECT_NEAR(picture->At(100, 100), 16, 3);
    // White squares, each told by its own damage only.
    for (uint32_t i = 1; i <= 5; i++) {
      AwaitRelease(i);
      pixels.Fill(i * 48, i * 32, 40, 24, 0xffffff);
      producer.Frame(i + 1, 1, pixels, {{i * 48, i * 32, 40, 24}});
      unit = events.Next();
      ASSERT_TRUE(unit);
      EXPECT_FALSE(unit->key());
      EXPECT_EQ(unit->header.sequence, i);
      picture = decoder.Decode(unit->bytes);
      ASSERT_TRUE(picture);
      for (uint32_t k = 1; k <= 5; k++) {
        EXPECT_NEAR(picture->At(k * 48 + 20, k * 32 + 12), k <= i ? 235 : 16, 12) << name << i << k;
      }
    }
    EXPECT_EQ(events.chosens.at(0).engine, name);
  }
}

TEST_F(EngineTest, AFrameThatChangedNothingIsNotEncodedAndReleased) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(128, 128);
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  AwaitRelease(1);
  producer.Frame(2, 1, pixels);
  AwaitRelease(2);
  pixels.Fill(127, 127, 1, 1, 0xffffff);
  producer.Frame(7, 1, pixels);
  ASSERT_TRUE(sink.Next());
  EXPECT_EQ(sink.count(), 2u);
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.skipped_unchanged, 1u);
  EXPECT_EQ(stats.frames_in, 7u);
  EXPECT_EQ(stats.dropped_before_encode, 4u);
}

TEST_F(EngineTest, AStillDesktopGivesAKeyFrameAtOnceAndMergesRequests) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(128, 128);
  pixels.Fill(0x808080);
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  AwaitRelease(1);
  sink.wants_video = false;  // So that the requests meet.
  for (int i = 0; i < 10; i++) engine.RequestKeyFrame();
  EXPECT_FALSE(sink.Next(std::chrono::milliseconds(100)));
  sink.wants_video = true;
  engine.Wake();
  const auto unit = sink.Next();
  ASSERT_TRUE(unit);
  EXPECT_TRUE(unit->key());
  EXPECT_TRUE(unit->keepalive());
  EXPECT_FALSE(sink.Next(std::chrono::milliseconds(200))) << "one key frame for ten requests";
  EXPECT_EQ(sink.configs.size(), 1u) << "the parameters have not changed";
  Decoder decoder;
  const auto picture = decoder.Decode(unit->bytes);
  ASSERT_TRUE(picture);
  EXPECT_NEAR(picture->At(64, 64), 126, 4);
}

TEST_F(EngineTest, KeepaliveEncodesAnew) {
  Engine engine(Options(producer, 100), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(128, 128);
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  const auto first = sink.Next();
  const auto second = sink.Next();
  const auto third = sink.Next();
  ASSERT_TRUE(third);
  EXPECT_FALSE(first->keepalive());
  EXPECT_TRUE(second->keepalive());
  EXPECT_FALSE(second->key());
  EXPECT_NE(second->bytes, third->bytes) << "a packet is never repeated";
  EXPECT_GT(third->header.pts, second->header.pts);
}

TEST_F(EngineTest, HoldsThePictureBackWhileNobodyTakesVideo) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(128, 128);
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  AwaitRelease(1);
  sink.wants_video = false;
  pixels.Fill(0xffffff);
  producer.Frame(2, 1, pixels);
  EXPECT_FALSE(producer.Expect<sb_release>(SB_MSG_RELEASE, 200)) << "held, not encoded";
  EXPECT_EQ(sink.count(), 1u);
  sink.wants_video = true;
  engine.Wake();
  AwaitRelease(2);
  EXPECT_TRUE(sink.Next());
}

TEST_F(EngineTest, HeaderHasRealTimes) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(128, 128);
  producer.Surface(1, pixels);
  sb_frame frame = producer.DescribeFrame(1, 1, {0, 0, 128, 128});
  frame.pts = MonotonicNow() - 50'000'000;
  producer.Frame(frame);
  const auto unit = sink.Next();
  ASSERT_TRUE(unit);
  EXPECT_EQ(unit->header.pts, frame.pts / 1000);
  EXPECT_GE(unit->header.capture, 50'000u);
  EXPECT_GT(unit->header.encode, 0u);
  EXPECT_EQ(unit->header.bridge, 0u);
}

TEST_F(EngineTest, AHostileTimeDoesNotReachTheEncoder) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(128, 128);
  producer.Surface(1, pixels);
  sb_frame frame = producer.DescribeFrame(1, 1, {0, 0, 128, 128});
  frame.pts = UINT64_MAX;
  producer.Frame(frame);
  const auto unit = sink.Next();
  ASSERT_TRUE(unit);
  EXPECT_EQ(unit->header.capture, 0u);
}

TEST_F(EngineTest, AResizeBringsANewConfigAndAKeyFrame) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels small(128, 128);
  SharedPixels large(640, 480);
  producer.Surface(1, small);
  producer.Surface(2, large);
  producer.Frame(1, 1, small);
  ASSERT_TRUE(sink.Next());
  AwaitRelease(1);
  large.Fill(0xffffff);
  // The damage is too small on purpose: after a resize all counts.
  producer.Frame(2, 2, large, {{0, 0, 1, 1}});
  const auto unit = sink.Next();
  ASSERT_TRUE(unit);
  EXPECT_TRUE(unit->key());
  ASSERT_EQ(sink.configs.size(), 2u);
  EXPECT_EQ(unit->header.config, sink.configs[1].id);
  EXPECT_NE(sink.configs[1].id, sink.configs[0].id);
  EXPECT_EQ(sink.configs[1].width, 640u);
  Decoder decoder;
  const auto picture = decoder.Decode(unit->bytes);
  ASSERT_TRUE(picture);
  EXPECT_NEAR(picture->At(600, 400), 235, 4);
}

TEST_F(EngineTest, ABlankDisplayShowsNothingToWhoJoins) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(128, 128);
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  producer.State(SB_STREAM_STATE_BLANK);
  ASSERT_TRUE(sink.Await([&] { return sink.states.back().state == EngineState::kBlank; }));
  engine.RequestKeyFrame();
  EXPECT_FALSE(sink.Next(std::chrono::milliseconds(200)));
  AwaitRelease(1);
  producer.State(SB_STREAM_STATE_ACTIVE);
  producer.Frame(2, 1, pixels);
  const auto unit = sink.Next();
  ASSERT_TRUE(unit);
  EXPECT_TRUE(unit->key());
  EXPECT_EQ(sink.states.back().state, EngineState::kLive);
}

TEST_F(EngineTest, SurvivesAGuestReset) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(128, 128);
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  auto reset = surface::Make<sb_reset>(SB_MSG_RESET, producer.stream());
  reset.reason = SB_RESET_REASON_GUEST_RESET;
  producer.connection().Send(reset);
  producer.Surface(1, pixels);
  sb_frame frame = producer.DescribeFrame(2, 1, {0, 0, 128, 128});
  frame.flags = SB_FRAME_FLAG_DISCONTINUITY;
  producer.Frame(frame);
  const auto unit = sink.Next();
  ASSERT_TRUE(unit);
  EXPECT_TRUE(unit->key());
  bool told = false;
  for (const StateEvent& state : sink.states) {
    told = told || state.reset == SB_RESET_REASON_GUEST_RESET;
  }
  EXPECT_TRUE(told);
}

TEST_F(EngineTest, BitrateChangesWhileRunning) {
  for (const char* name : {"x264", "openh264"}) {
    EngineOptions options = Options(producer);
    options.engine = name;
    options.bitrate_kbps = 8000;
    Collector events;
    Engine engine(options, events);
    ASSERT_TRUE(producer.Serve());
    SharedPixels pixels(320, 192);
    producer.Surface(1, pixels);
    uint32_t noise = 1;
    uint64_t bytes[2] = {};
    uint64_t sequence = 1;
    for (const int part : {0, 1}) {
      for (int i = 0; i < 60; i++) {
        // Little of it: noise has a size below which no encoder comes.
        for (uint32_t y = 0; y < 64; y++) {
          for (uint32_t x = 0; x < 96; x++) {
            noise = noise * 1664525 + 1013904223;
            pixels.Fill(x, y, 1, 1, noise >> 8);
          }
        }
        producer.Frame(sequence, 1, pixels);
        const auto unit = events.Next();
        ASSERT_TRUE(unit);
        EXPECT_EQ(unit->key(), sequence == 1) << name << sequence;
        if (i >= 30) bytes[part] += unit->bytes.size();
        AwaitRelease(sequence++);
      }
      engine.SetBitrate(800);
    }
    EXPECT_LT(bytes[1] * 2, bytes[0]) << name;
  }
}

TEST_F(EngineTest, MemoryThatIsTakenAwayIsAnErrorNotACrash) {
  Engine engine(Options(producer), sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(512, 512);
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  AwaitRelease(1);
  pixels.Truncate();
  producer.Frame(2, 1, pixels);
  ASSERT_TRUE(sink.Await([&] { return !sink.ends.empty(); }));
  EXPECT_EQ(sink.ends[0].error->code, "SURFACE_TRUNCATED");
}

TEST_F(EngineTest, TellsWhyItEnds) {
  {
    EngineOptions options = Options(producer);
    std::get<SurfaceTarget>(options.source).socket = "/tmp/scanbridge-nobody-listens";
    Engine engine(options, sink);
    ASSERT_TRUE(sink.Await([&] { return !sink.ends.empty(); }));
    EXPECT_EQ(sink.ends[0].error->code, "SURFACE_CONNECT");
  }
  {
    Collector events;
    Engine engine(Options(producer), events);
    ASSERT_TRUE(producer.Serve());
    producer.Hang();
    ASSERT_TRUE(events.Await([&] { return !events.ends.empty(); }));
    EXPECT_EQ(events.ends[0].error->code, "SURFACE_CLOSED");
  }
  {
    Collector events;
    EngineOptions options = Options(producer);
    options.engine = "none";
    Engine engine(options, events);
    ASSERT_TRUE(events.Await([&] { return !events.ends.empty(); }));
    EXPECT_EQ(events.ends[0].error->code, "BAD_OPTION");
  }
}

TEST_F(EngineTest, ReportsWhatTheEncoderSaysAndTakesAnother) {
  // More macroblocks than openh264 takes; x264 does not mind.
  EngineOptions options = Options(producer);
  options.engine = "openh264";
  Engine engine(options, sink);
  ASSERT_TRUE(producer.Serve());
  SharedPixels pixels(4112, 4112);
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Await([&] { return !sink.ends.empty(); }));
  EXPECT_EQ(sink.ends[0].error->code, "ENCODER_FAILED");
  EXPECT_FALSE(sink.ends[0].error->debug.empty());

  Collector events;
  options.engine = "auto";
  Engine automatic(options, events);
  ASSERT_TRUE(producer.Serve());
  producer.Surface(1, pixels);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(events.Next());
  ASSERT_TRUE(events.Await([&] { return !events.chosens.empty(); }));
  EXPECT_EQ(events.chosens[0].engine, "x264");
}

TEST_F(EngineTest, TestPatternMovesAtItsRate) {
  EngineOptions options;
  options.source = TestPatternTarget{320, 180, 60};
  options.engine = "auto";
  options.bitrate_kbps = 2000;
  options.max_fps = 60;
  Engine engine(options, sink);
  std::optional<Unit> unit;
  uint64_t last = 0;
  for (int i = 0; i < 30; i++) {
    unit = sink.Next();
    ASSERT_TRUE(unit);
    EXPECT_EQ(unit->header.sequence, static_cast<uint32_t>(i));
    EXPECT_GT(unit->header.pts, last);
    last = unit->header.pts;
  }
}

TEST_F(EngineTest, TwoEnginesAndManyStartsLeaveNoDescriptors) {
  const auto descriptors = [] {
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++) count += ::fcntl(fd, F_GETFD) >= 0;
    return count;
  };
  const auto round = [&] {
    EngineOptions options;
    options.source = TestPatternTarget{64, 64, 120};
    options.engine = "x264";
    options.bitrate_kbps = 500;
    options.max_fps = 120;
    Collector one;
    Collector two;
    Engine first(options, one);
    Engine second(options, two);
    EXPECT_TRUE(one.Next());
    EXPECT_TRUE(two.Next());
  };
  round();
  const size_t before = descriptors();
  for (int i = 0; i < 10; i++) round();
  EXPECT_EQ(descriptors(), before);
}

TEST(Probe, FindsTheSoftwareEngines) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "openh264 is too slow under the thread sanitizer for the probe's patience";
#endif
  for (const EnginePath* path : SelectPaths("auto", Codec::kH264, PathMode::kAuto)) {
    if (path->hardware) continue;
    const PathReport report = ProbePath(*path);
    EXPECT_FALSE(report.error) << path->engine << ": " << report.error->message;
    EXPECT_EQ(report.codec.substr(0, 5), "avc1.");
    EXPECT_GT(report.milliseconds_per_frame, 0);
  }
}

TEST(Probe, NamesWhatIsMissing) {
  EnginePath path = EnginePaths()[0];
  path.input = PathInput::kSystem;
  path.needs = {{"nosuchenc", "gstreamer1.0-nosuch"}};
  const PathReport report = ProbePath(path);
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, "ELEMENT_MISSING");
  EXPECT_EQ(report.error->element, "nosuchenc");
  EXPECT_EQ(report.install, std::vector<std::string>{"gstreamer1.0-nosuch"});
}

}  // namespace
}  // namespace scanbridge::host::test
