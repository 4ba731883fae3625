// SPDX-License-Identifier: Apache-2.0
#include "surface/surface_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "producer.h"
#include "surface/sigbus_guard.h"

namespace scanbridge::host::test {
namespace {

using Mapped = std::variant<std::shared_ptr<SurfaceMemory>, EngineError>;

class SurfaceMemoryTest : public testing::Test {
 protected:
  Mapped Map(const sb_surface& message, const UniqueFd& fd) {
    surface::FdList fds;
    fds.push_back(fd.duplicate());
    return SurfaceMemory::Map(message, fds);
  }
  std::string CodeOf(const Mapped& mapped) {
    const auto* const error = std::get_if<EngineError>(&mapped);
    return error == nullptr ? "" : error->code;
  }
  Producer producer_;
  SharedPixels pixels_{80, 60, 12};
};

TEST_F(SurfaceMemoryTest, ReadsACropAtAnOffset) {
  pixels_.Fill(0x111111);
  pixels_.Fill(5, 7, 1, 1, 0xabcdef);
  auto mapped = Map(producer_.Describe(1, pixels_), pixels_.fd());
  ASSERT_EQ(CodeOf(mapped), "");
  auto memory = std::get<std::shared_ptr<SurfaceMemory>>(mapped);
  uint32_t pixel = 0;
  EXPECT_TRUE(memory->Read({5, 7, 10, 10}, [&](const PixelView& view) {
    EXPECT_EQ(view.width, 10u);
    std::memcpy(&pixel, view.data, 4);
  }));
  EXPECT_EQ(pixel, 0xabcdefu);
}

TEST_F(SurfaceMemoryTest, TurnsInvertedPicturesUpright) {
  pixels_.Fill(0);
  pixels_.Fill(0, 59, 1, 1, 0x77);  // Lowest row in memory: the upper one of the picture.
  pixels_.Fill(0, 57, 1, 1, 0x55);
  sb_surface message = producer_.Describe(1, pixels_);
  message.flags = SB_SURFACE_FLAG_Y_INVERTED;
  auto memory = std::get<std::shared_ptr<SurfaceMemory>>(Map(message, pixels_.fd()));
  EXPECT_TRUE(memory->Read({0, 0, 80, 60}, [&](const PixelView& view) {
    EXPECT_EQ(view.data[0], 0x77);
    EXPECT_EQ(view.data[2 * view.stride], 0x55);
  }));
  EXPECT_TRUE(
      memory->Read({0, 2, 80, 58}, [&](const PixelView& view) { EXPECT_EQ(view.data[0], 0x55); }));
}

TEST_F(SurfaceMemoryTest, RefusesWhatDoesNotFit) {
  const sb_surface good = producer_.Describe(1, pixels_);
  const auto refused = [&](auto change) {
    sb_surface message = good;
    change(message);
    return CodeOf(Map(message, pixels_.fd()));
  };
  EXPECT_EQ(refused([](sb_surface&) {}), "");
  EXPECT_EQ(refused([](sb_surface& m) { m.height++; }), "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.planes[0].offset++; }), "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.planes[0].offset = UINT64_MAX - 3; }),
            "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.planes[0].size = UINT64_MAX; }), "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.planes[0].size--; }), "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.planes[0].stride -= 4; }), "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.planes[0].stride = 1048576; }), "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.planes[0].fd_index = 1; }), "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.plane_count = 2; }), "SURFACE_BAD_VALUE");
  EXPECT_EQ(refused([](sb_surface& m) { m.format = DRM_FORMAT_NV12; }), "SURFACE_UNSUPPORTED");
  EXPECT_EQ(refused([](sb_surface& m) { m.modifier = 1; }), "SURFACE_UNSUPPORTED");
  EXPECT_EQ(refused([](sb_surface& m) { m.kind = SB_SURFACE_KIND_IOSURFACE; }),
            "SURFACE_UNSUPPORTED");
  EXPECT_EQ(refused([](sb_surface& m) { m.flags = SB_SURFACE_FLAG_EXPLICIT_SYNC; }),
            "SURFACE_UNSUPPORTED");
}

TEST_F(SurfaceMemoryTest, RefusesFilesThatCouldMakeReadersWait) {
  const sb_surface message = producer_.Describe(1, pixels_);
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd reader(pipe_ends[0]);
  const UniqueFd writer(pipe_ends[1]);
  EXPECT_EQ(CodeOf(Map(message, reader)), "SURFACE_BAD_VALUE");
  sb_surface dmabuf = message;
  dmabuf.kind = SB_SURFACE_KIND_DMABUF;
  EXPECT_EQ(CodeOf(Map(dmabuf, reader)), "SURFACE_BAD_VALUE");
}

TEST_F(SurfaceMemoryTest, SurvivesMemoryThatIsTakenAway) {
  SharedPixels pixels(512, 512);
  pixels.Fill(0xffffff);
  auto memory =
      std::get<std::shared_ptr<SurfaceMemory>>(Map(producer_.Describe(1, pixels), pixels.fd()));
  uint64_t sum = 0;
  const auto add = [&](const PixelView& view) {
    for (uint32_t y = 0; y < view.height; y++) {
      sum += view.data[static_cast<ptrdiff_t>(y) * view.stride];
    }
  };
  EXPECT_TRUE(memory->Read({0, 0, 512, 512}, add));
  EXPECT_EQ(sum, 512u * 255);
  // Halfway through the reading, as an attacker would.
  EXPECT_FALSE(memory->Read({0, 0, 512, 512}, [&](const PixelView& view) {
    add(view);
    pixels.Truncate();
    add(view);
  }));
  EXPECT_FALSE(memory->Read({0, 0, 512, 512}, add)) << "it stays lost";
}

TEST(SigbusGuardDeathTest, LeavesOtherFaultsAlone) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        SharedPixels guarded(64, 64);
        SharedPixels other(64, 64);
        volatile uint8_t* const outside = other.At(0, 0);
        void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, guarded.fd().get(), 0);
        const SigbusGuard guard(page, 4096);
        other.Truncate();
        (void)*outside;
      },
      "");
}

}  // namespace
}  // namespace scanbridge::host::test
