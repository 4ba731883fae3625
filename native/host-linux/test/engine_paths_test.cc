// SPDX-License-Identifier: Apache-2.0
// Which path an engine takes with which GPU, source and mode, and what it does when one fails.
// GStreamer really negotiates, with the elements of a fake GPU (../test-plugin).
#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>

#include "collector.h"
#include "decoder.h"
#include "encode/importers.h"
#include "engine/engine.h"
#include "fake_gpu.h"
#include "producer.h"

namespace scanbridge::host::test {
namespace {

enum class Memory { kShared, kLinear, kTiled };

constexpr uint64_t kTiling = 0x0300000000606010;

/// What the fake installation takes as dma-bufs, in the words of the GStreamer that runs.
const char* Formats(bool tiled) {
  guint major = 0, minor = 0, micro = 0, nano = 0;
  gst_version(&major, &minor, &micro, &nano);
  if (minor < 24) return "BGRx";
  return tiled ? "XR24,XR24:0x0300000000606010" : "XR24";
}

bool SpeaksModifiers() {
  guint major = 0, minor = 0, micro = 0, nano = 0;
  gst_version(&major, &minor, &micro, &nano);
  return minor >= 24;
}

struct Row {
  const char* name;
  /// Installed: families of the fake, and whether its importers take dma-bufs.
  const char* families;
  bool imports;
  const char* faults;
  /// The compositor.
  Memory memory;
  const char* mode;
  const char* engine;
  /// Expected; path "" is no path at all.
  const char* chosen;
  const char* path;
  /// Part of a reason that must be among those given; nullptr: any.
  const char* reason;
};

const Row kRows[] = {
    {"NothingButSoftware", "", false, "", Memory::kLinear, "auto", "auto", "x264", "system-memory",
     "no element nvh264enc"},
    {"NvidiaZeroCopy", "gl,nvidia", true, "", Memory::kLinear, "auto", "auto", "nvidia",
     "dmabuf-gl-cuda", nullptr},
    {"NvidiaWithSharedMemory", "gl,nvidia", true, "", Memory::kShared, "auto", "auto", "nvidia",
     "cuda-upload", "shared memory, and no dma-bufs"},
    {"NvidiaWithoutGl", "nvidia", true, "", Memory::kLinear, "auto", "auto", "nvidia",
     "cuda-upload", "no element glupload"},
    {"NvidiaWhoseGlImportsNothing", "gl,nvidia", false, "", Memory::kLinear, "auto", "auto",
     "nvidia", "cuda-upload", "glupload does not take video/x-raw(memory:DMABuf)"},
    {"NvidiaForcedToShm", "gl,nvidia", true, "", Memory::kLinear, "shm", "auto", "nvidia",
     "cuda-upload", nullptr},
    {"NvidiaForcedToZeroCopy", "gl,nvidia", true, "", Memory::kShared, "zerocopy", "auto", "", "",
     "no dma-bufs"},
    {"NvidiaCudaUploadFails", "nvidia", true, "cudaupload=first-frame", Memory::kShared, "auto",
     "auto", "nvidia", "system-memory", "cudaupload fails at picture 1"},
    {"VaZeroCopy", "va", true, "", Memory::kLinear, "auto", "auto", "vaapi", "dmabuf", nullptr},
    {"VaWhosePostprocTakesNoDmaBuf", "va", false, "", Memory::kLinear, "auto", "auto", "vaapi",
     "upload", "vapostproc does not take"},
    {"VaLowPowerOnly", "valp", true, "", Memory::kLinear, "auto", "auto", "vaapi",
     "dmabuf-low-power", "no element vah264enc"},
    {"VaLinkFails", "va", true, "vapostproc=link", Memory::kLinear, "auto", "auto", "x264",
     "system-memory", "not-negotiated"},
    {"VaFirstPictureFails", "va", true, "vah264enc=first-frame", Memory::kLinear, "auto", "auto",
     "x264", "system-memory", "vah264enc fails at picture 1"},
    {"VaDoesNotStart", "va", true, "vah264enc=start", Memory::kLinear, "auto", "auto", "x264",
     "system-memory", "does not start"},
    {"VaStalls", "va", true, "vah264enc=stall", Memory::kLinear, "auto", "vaapi", "", "",
     "gave nothing back"},
    {"LegacyVaLast", "vaapi", true, "", Memory::kLinear, "auto", "auto", "vaapi", "legacy-upload",
     "no element vapostproc"},
    {"QuickSync", "qsv", true, "", Memory::kShared, "native", "auto", "qsv", "system-memory",
     nullptr},
    {"NvidiaBeforeVa", "gl,nvidia,va", true, "", Memory::kLinear, "auto", "auto", "nvidia",
     "dmabuf-gl-cuda", nullptr},
    {"VaWhereItIsWanted", "gl,nvidia,va", true, "", Memory::kLinear, "auto", "vaapi", "vaapi",
     "dmabuf", nullptr},
    {"NativeWithoutHardware", "", true, "", Memory::kLinear, "native", "auto", "", "",
     "no element"},
};

class PathsTest : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("SCANBRIDGE_FAKE_DMABUF", "1", 1);
    InitGStreamer();
  }
  void TearDown() override { Install("", false, ""); }

  static void Install(const char* families, bool imports, const char* faults) {
    const fake_gpu gpu{families, imports ? Formats(true) : "", faults};
    fake_gpu_install(nullptr, &gpu);
  }

  EngineOptions Options() const {
    EngineOptions options;
    options.source = SurfaceTarget{producer.path(), ScanoutTarget{0}, true};
    options.engine = "auto";
    options.bitrate_kbps = 8000;
    options.max_fps = 240;
    return options;
  }

  void Share(uint32_t id, const SharedPixels& pixels, Memory memory) {
    sb_surface message = producer.Describe(id, pixels);
    if (memory != Memory::kShared) message.kind = SB_SURFACE_KIND_DMABUF;
    if (memory == Memory::kTiled) message.modifier = kTiling;
    producer.Surface(message, pixels.fd());
  }

  Producer producer;
  SharedPixels pixels{320, 192};
};

/// What the engine chose; it says so right after the first picture.
ChosenEvent Chosen(Collector& sink) {
  (void)sink.Await([&] { return !sink.chosens.empty(); });
  return sink.chosens.empty() ? ChosenEvent{} : sink.chosens[0];
}

std::string AllReasons(const std::vector<TriedPath>& tried) {
  std::string text;
  for (const TriedPath& each : tried)
    text += each.engine + " " + each.path + ": " + each.reason + "\n";
  return text;
}

TEST_F(PathsTest, MatrixOfGpuCompositorAndMode) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    Install(row.families, row.imports, row.faults);
    EngineOptions options = Options();
    options.engine = row.engine;
    options.mode = ModeOf(row.mode).value();
    Collector sink;
    Engine engine(options, sink);
    ASSERT_TRUE(producer.Serve());
    pixels.Fill(0x404040);
    pixels.Fill(0, 0, 160, 192, 0xffffff);
    Share(1, pixels, row.memory);
    producer.Frame(1, 1, pixels);
    if (*row.path == 0) {
      ASSERT_TRUE(sink.Await([&] { return !sink.ends.empty(); }));
      EXPECT_NE(sink.ends[0].error->message.find(row.reason), std::string::npos)
          << sink.ends[0].error->message;
      continue;
    }
    const auto unit = sink.Next();
    ASSERT_TRUE(unit);
    EXPECT_TRUE(unit->key());
    const ChosenEvent chosen = Chosen(sink);
    EXPECT_EQ(chosen.engine, row.chosen) << AllReasons(chosen.tried);
    EXPECT_EQ(chosen.path, row.path) << AllReasons(chosen.tried);
    if (row.reason != nullptr) {
      EXPECT_NE(AllReasons(chosen.tried).find(row.reason), std::string::npos)
          << AllReasons(chosen.tried);
    }
    Decoder decoder;
    const auto picture = decoder.Decode(unit->bytes);
    ASSERT_TRUE(picture);
    EXPECT_NEAR(picture->At(80, 96), 235, 4);
    EXPECT_NEAR(picture->At(240, 96), 71, 6);
    // Zero-copy: this process has not read a pixel.
    const EngineStats stats = engine.stats();
    const bool direct = std::string(row.path).starts_with("dmabuf");
    EXPECT_EQ(stats.tiles_compared == 0, direct);
    EXPECT_EQ(stats.copies == 0, direct) << stats.copies;
  }
}

TEST_F(PathsTest, TiledPixelsGoOnlyWhereTheyCanBeNamed) {
  Install("gl,nvidia", true, "");
  Collector sink;
  Engine engine(Options(), sink);
  ASSERT_TRUE(producer.Serve());
  Share(1, pixels, Memory::kTiled);
  producer.Frame(1, 1, pixels);
  if (SpeaksModifiers()) {
    ASSERT_TRUE(sink.Next());
    EXPECT_EQ(Chosen(sink).path, "dmabuf-gl-cuda");
  } else {
    ASSERT_TRUE(sink.Await([&] { return !sink.ends.empty(); }));
    EXPECT_NE(sink.ends[0].error->message.find("cannot say that a dma-buf is tiled"),
              std::string::npos)
        << sink.ends[0].error->message;
    EXPECT_NE(sink.ends[0].error->message.find("its pixels are tiled"), std::string::npos);
  }
}

TEST_F(PathsTest, AFrameIsReleasedOnceTheEncoderHasReadIt) {
  Install("va", true, "");
  Collector sink;
  Engine engine(Options(), sink);
  ASSERT_TRUE(producer.Serve());
  Share(1, pixels, Memory::kLinear);
  for (uint64_t i = 1; i <= 20; i++) {
    pixels.Fill(static_cast<uint32_t>(i) * 0x050505);
    producer.Frame(i, 1, pixels);
    ASSERT_TRUE(sink.Next());
    const auto release = producer.Expect<sb_release>(SB_MSG_RELEASE, 20'000);
    ASSERT_TRUE(release);
    EXPECT_EQ(release->sequence, i);
  }
}

TEST_F(PathsTest, AStillDesktopGivesAKeyFrameOnTheZeroCopyPathToo) {
  Install("va", true, "");
  Collector sink;
  Engine engine(Options(), sink);
  ASSERT_TRUE(producer.Serve());
  pixels.Fill(0xffffff);
  Share(1, pixels, Memory::kLinear);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  ASSERT_TRUE(producer.Expect<sb_release>(SB_MSG_RELEASE, 20'000));
  engine.RequestKeyFrame();
  const auto unit = sink.Next();
  ASSERT_TRUE(unit);
  EXPECT_TRUE(unit->key());
  EXPECT_TRUE(unit->keepalive());
  Decoder decoder;
  const auto picture = decoder.Decode(unit->bytes);
  ASSERT_TRUE(picture);
  EXPECT_NEAR(picture->At(100, 100), 235, 4);
}

/// A path fails in the middle of the stream: the next one goes on with the picture that is there.
void SwitchesWith(Producer& producer, SharedPixels& pixels, const EngineOptions& options,
                  const std::function<void()>& share, const char* reason) {
  Collector sink;
  Engine engine(options, sink);
  ASSERT_TRUE(producer.Serve());
  pixels.Fill(0xffffff);
  share();
  uint64_t sequence = 1;
  const auto began = std::chrono::steady_clock::now();
  bool switched = false;
  while (!switched && std::chrono::steady_clock::now() - began < kPatience) {
    pixels.Fill(0, 0, 32, 32, static_cast<uint32_t>(sequence) * 0x010203);
    producer.Frame(sequence, 1, pixels);
    ASSERT_TRUE(sink.Next()) << sequence;
    ASSERT_TRUE(producer.Expect<sb_release>(SB_MSG_RELEASE, 20'000));
    sequence++;
    switched = sink.chosens.size() > 1;
  }
  ASSERT_TRUE(switched);
  EXPECT_EQ(sink.chosens[0].engine, "vaapi");
  EXPECT_EQ(sink.chosens[1].engine, "x264");
  EXPECT_NE(AllReasons(sink.chosens[1].tried).find(reason), std::string::npos)
      << AllReasons(sink.chosens[1].tried);
  EXPECT_NE(sink.configs.at(0).id, sink.configs.at(1).id);
  EXPECT_TRUE(sink.ends.empty());
}

TEST_F(PathsTest, AnErrorInTheMiddleMovesToTheNextPath) {
  Install("va", true, "vah264enc=after:6");
  SwitchesWith(
      producer, pixels, Options(), [&] { Share(1, pixels, Memory::kShared); },
      "vah264enc fails at picture 6");
}

TEST_F(PathsTest, AGpuThatGivesNothingBackIsLeft) {
  Install("va", true, "vah264enc=stall-after:6");
  SwitchesWith(
      producer, pixels, Options(), [&] { Share(1, pixels, Memory::kShared); }, "gave nothing back");
}

TEST_F(PathsTest, ADriverThatHangsAtItsStartDoesNotHangTheEngine) {
  Install("va", true, "vah264enc=start-hang");
  EngineOptions options = Options();
  Collector sink;
  Engine engine(options, sink);
  ASSERT_TRUE(producer.Serve());
  Share(1, pixels, Memory::kShared);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  EXPECT_EQ(Chosen(sink).engine, "x264");
  EXPECT_NE(AllReasons(Chosen(sink).tried).find("did not start within 2000 ms"), std::string::npos);
}

TEST_F(PathsTest, APathThatEndedAFormerProcessIsAvoided) {
  Install("va", true, "");
  EngineOptions options = Options();
  options.avoid = {{"vaapi", "upload", "it ended the worker (SIGSEGV)"}};
  Collector sink;
  Engine engine(options, sink);
  ASSERT_TRUE(producer.Serve());
  Share(1, pixels, Memory::kShared);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  EXPECT_EQ(Chosen(sink).engine, "x264");
  EXPECT_NE(AllReasons(Chosen(sink).tried).find("SIGSEGV"), std::string::npos);
}

TEST_F(PathsTest, AnotherRenderNodeHasElementsOfItsOwn) {
  Install("va,va129", true, "");
  EngineOptions options = Options();
  options.engine = "vaapi";
  options.gpu.render_node = "renderD129";
  Collector sink;
  Engine engine(options, sink);
  ASSERT_TRUE(producer.Serve());
  Share(1, pixels, Memory::kLinear);
  producer.Frame(1, 1, pixels);
  ASSERT_TRUE(sink.Next());
  EXPECT_EQ(Chosen(sink).path, "dmabuf");
  Install("va", true, "");
  EXPECT_FALSE(HasElement("varenderD129h264enc"));
}

TEST_F(PathsTest, EveryCodecHasASoftwareEngineAndARealCodecString) {
  const struct {
    Codec codec;
    const char* engine;
    const char* prefix;
  } codecs[] = {{Codec::kHevc, "x265", "hvc1.1.6.L"},
                {Codec::kAv1, "aom", "av01.0."},
                {Codec::kVp9, "vpx", "vp09.00."}};
  for (const auto& each : codecs) {
    SCOPED_TRACE(each.engine);
    EngineOptions options = Options();
    options.codec = each.codec;
    Collector sink;
    Engine engine(options, sink);
    ASSERT_TRUE(producer.Serve());
    Share(1, pixels, Memory::kShared);
    for (uint64_t i = 1; i <= 4; i++) {
      pixels.Fill(static_cast<uint32_t>(i) * 0x101010);
      producer.Frame(i, 1, pixels);
      const auto unit = sink.Next();
      ASSERT_TRUE(unit) << (sink.ends.empty() ? "" : sink.ends[0].error->message);
      EXPECT_EQ(unit->key(), i == 1);
      ASSERT_TRUE(producer.Expect<sb_release>(SB_MSG_RELEASE, 20'000));
    }
    engine.RequestKeyFrame();
    const auto key = sink.Next();
    ASSERT_TRUE(key);
    EXPECT_TRUE(key->key());
    EXPECT_EQ(Chosen(sink).engine, each.engine);
    EXPECT_EQ(sink.configs.at(0).codec.substr(0, std::strlen(each.prefix)), each.prefix);
    // Asked for anew or not, a key frame of the same stream needs no other decoder.
    EXPECT_EQ(sink.configs.back().codec, sink.configs[0].codec);
  }
}

TEST_F(PathsTest, ImportersTellWhatTheyTake) {
  Install("gl,va,va129", true, "");
  std::vector<std::string> found;
  for (const Importer& importer : FindImporters()) {
    found.push_back(importer.element);
    EXPECT_FALSE(importer.dmabuf.empty()) << importer.element;
  }
  EXPECT_EQ(found.size(), 3u);
  Install("va", false, "");
  for (const Importer& importer : FindImporters()) {
    if (importer.element == "vapostproc") {
      EXPECT_TRUE(importer.dmabuf.empty());
    }
  }
}

}  // namespace
}  // namespace scanbridge::host::test
