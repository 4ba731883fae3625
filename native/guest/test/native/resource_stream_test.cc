// SPDX-License-Identifier: Apache-2.0
// The stream of ids: who holds which buffer when, and what the host is told. Descriptors that can
// be read stand for dma-bufs with signalled fences; the GPU is the fake kernel's.
#include "drm/resource_stream.h"

#include <drm_fourcc.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fake_kernel.h"

namespace scanbridge::guest {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kWidth = 64;
constexpr uint32_t kHeight = 32;

class ResourceStreamTest : public testing::Test {
 protected:
  ResourceStreamTest() {
    const Loop::Lock lock(loop_);
    ResourceStream::Events events;
    events.geometry = [this](const ResourceGeometry& geometry) {
      geometries_.push_back(geometry);
      Note("geometry " + std::to_string(geometry.resource));
    };
    events.frame = [this](const ResourceFrame& frame) {
      frames_.push_back(frame);
      Note("frame " + std::to_string(frame.sequence) + " of " + std::to_string(frame.resource));
    };
    events.gone = [this](uint32_t resource) { Note("gone " + std::to_string(resource)); };
    events.waiting = [this] { Note("waiting"); };
    events.error = [this](const DrmError&) { Note("error"); };
    source_ = std::make_unique<Source>(1);
    stream_ = std::make_unique<ResourceStream>(loop_, *source_, OpenFake(kernel_), events);
  }

  ~ResourceStreamTest() override {
    const Loop::Lock lock(loop_);
    stream_.reset();
    source_.reset();
  }

  void Note(std::string what) { log_.push_back(std::move(what)); }

  std::shared_ptr<Surface> MakeSurface(uint32_t id, uint32_t resource, int fd) {
    auto surface = std::make_shared<Surface>();
    sb_surface& description = surface->description;
    description.surface = id;
    description.kind = resource != 0 ? SB_SURFACE_KIND_DMABUF : SB_SURFACE_KIND_MEMFD;
    description.width = kWidth;
    description.height = kHeight;
    description.format = DRM_FORMAT_XRGB8888;
    description.plane_count = 1;
    description.planes[0] = {0, uint64_t{kWidth} * kHeight * 4, kWidth * 4, 0};
    surface->fds.push_back(UniqueFd(fd));
    surface->resource = resource;
    return surface;
  }

  static int Readable() { return ::eventfd(1, EFD_CLOEXEC); }

  static int SharedMemory(uint8_t fill) {
    const int fd = ::memfd_create("test", MFD_CLOEXEC);
    const std::vector<uint8_t> pixels(size_t{kWidth} * kHeight * 4, fill);
    EXPECT_EQ(::write(fd, pixels.data(), pixels.size()), static_cast<ssize_t>(pixels.size()));
    return fd;
  }

  void Present(std::shared_ptr<Surface> surface, uint64_t sequence,
               std::optional<sb_rect> damage = std::nullopt,
               sb_rect crop = {0, 0, kWidth, kHeight}) {
    Picture::Content content;
    content.surface = std::move(surface);
    content.sequence = sequence;
    content.pts = sequence * 1000;
    content.crop = crop;
    Damage changed;
    if (damage) {
      changed.Add(*damage);
    } else {
      changed.AddAll();
    }
    source_->Present(
        std::make_shared<Picture>(content, [this, sequence](bool) { back_.push_back(sequence); }),
        changed);
  }

  /// What happened since the last call.
  std::vector<std::string> Taken() { return std::exchange(log_, {}); }

  void WaitFor(const std::function<bool()>& condition) {
    for (int i = 0; i < 500; i++) {
      {
        const Loop::Lock lock(loop_);
        if (condition()) return;
      }
      std::this_thread::sleep_for(10ms);
    }
    FAIL() << "it did not happen";
  }

  using Log = std::vector<std::string>;

  FakeKernel kernel_;
  Loop loop_{"test"};
  std::unique_ptr<Source> source_;
  std::unique_ptr<ResourceStream> stream_;
  Log log_;
  std::vector<ResourceGeometry> geometries_;
  std::vector<ResourceFrame> frames_;
  /// Pictures whose buffers the source has back.
  std::vector<uint64_t> back_;
};

TEST_F(ResourceStreamTest, SendsOneFrameAtATimeAndTheNewestNext) {
  const Loop::Lock lock(loop_);
  auto first = MakeSurface(1, 71, Readable());
  auto second = MakeSurface(2, 72, Readable());
  Present(first, 1);
  EXPECT_EQ(Taken(), Log{}) << "the host is not there";
  stream_->Start();
  EXPECT_EQ(Taken(), (Log{"geometry 71", "frame 1 of 71"}));
  Present(second, 2, sb_rect{0, 0, 8, 8});
  Present(first, 3, sb_rect{16, 8, 8, 8});
  EXPECT_EQ(Taken(), Log{});
  EXPECT_EQ(back_, (std::vector<uint64_t>{2})) << "replaced before anybody saw it";
  stream_->Release(99);
  EXPECT_EQ(Taken(), Log{}) << "never sent";
  stream_->Release(1);
  EXPECT_EQ(Taken(), (Log{"frame 3 of 71"}));
  EXPECT_EQ(back_, (std::vector<uint64_t>{2, 1}));
  ASSERT_TRUE(frames_.back().damage);
  EXPECT_EQ(frames_.back().damage->width, 24u) << "around both";
  EXPECT_EQ(frames_.back().damage->height, 16u);
  EXPECT_EQ(kernel_.closes, 0u) << "no call to the kernel for a frame";
}

TEST_F(ResourceStreamTest, TellsTheGeometryOfTheCrop) {
  const Loop::Lock lock(loop_);
  auto surface = MakeSurface(1, 71, Readable());
  surface->description.modifier = DRM_FORMAT_MOD_INVALID;
  stream_->Start();
  Present(surface, 1, std::nullopt, {4, 2, 32, 16});
  const ResourceGeometry expected = {
      71,  32, 16, kWidth * 4, 2 * kWidth * 4 + 16, DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_LINEAR,
      true};
  EXPECT_EQ(geometries_.back(), expected);
  stream_->Release(1);
  Present(surface, 2, sb_rect{5, 3, 2, 2}, {4, 2, 32, 16});
  EXPECT_EQ(geometries_.size(), 1u);
  EXPECT_EQ(frames_.back().damage->x, 1u);
  stream_->Release(2);
  Present(surface, 3, sb_rect{5, 3, 2, 2});
  EXPECT_EQ(geometries_.size(), 2u) << "another crop";
  EXPECT_FALSE(frames_.back().damage) << "all of it is new";
}

TEST_F(ResourceStreamTest, ForgetsBuffersAndCountsTheirFramesAsReleased) {
  const Loop::Lock lock(loop_);
  stream_->Start();
  Present(MakeSurface(1, 71, Readable()), 1);
  Taken();
  source_->Reset(SB_RESET_REASON_RENEGOTIATED);
  EXPECT_EQ(Taken(), (Log{"gone 71"}));
  EXPECT_TRUE(back_.empty()) << "its memory is gone, there is nothing to give back";
  Present(MakeSurface(2, 71, Readable()), 2);
  EXPECT_EQ(Taken(), (Log{"geometry 71", "frame 2 of 71"})) << "an id that is used again";
  source_->DropSurface(2);
  EXPECT_EQ(Taken(), (Log{"gone 71"}));
  Present(MakeSurface(3, 73, Readable()), 3);
  EXPECT_EQ(Taken(), (Log{"geometry 73", "frame 3 of 73"}));
}

TEST_F(ResourceStreamTest, AHostThatIsAwayHoldsNothing) {
  const Loop::Lock lock(loop_);
  auto surface = MakeSurface(1, 71, Readable());
  stream_->Start();
  Present(surface, 1);
  stream_->Stop();
  Present(MakeSurface(2, 72, Readable()), 2, sb_rect{0, 0, 4, 4});
  EXPECT_EQ(back_, (std::vector<uint64_t>{1}));
  Taken();
  stream_->Start();
  EXPECT_EQ(Taken(), (Log{"geometry 72", "frame 2 of 72"}));
  EXPECT_FALSE(frames_.back().damage);
}

TEST_F(ResourceStreamTest, AHostThatDoesNotReleaseLosesTheBufferInTime) {
  {
    const Loop::Lock lock(loop_);
    stream_->Start();
    Present(MakeSurface(1, 71, Readable()), 1);
    Present(MakeSurface(2, 72, Readable()), 2);
    EXPECT_TRUE(back_.empty());
  }
  WaitFor([this] { return back_ == std::vector<uint64_t>{1}; });
  const Loop::Lock lock(loop_);
  EXPECT_EQ(stream_->counters().late, 1u);
  EXPECT_EQ(frames_.size(), 1u) << "nothing further before it answers";
  stream_->Release(1);
  EXPECT_EQ(frames_.back().sequence, 2u);
}

TEST_F(ResourceStreamTest, APictureThatIsStillDrawnWaits) {
  const int drawn = ::eventfd(0, EFD_CLOEXEC);
  {
    const Loop::Lock lock(loop_);
    stream_->Start();
    Present(MakeSurface(1, 71, drawn), 1);
    EXPECT_EQ(frames_.size(), 0u);
    const uint64_t one = 1;
    ASSERT_EQ(::write(drawn, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }
  WaitFor([this] { return frames_.size() == 1; });
}

TEST_F(ResourceStreamTest, APictureThatIsNeverDoneIsGivenUp) {
  {
    const Loop::Lock lock(loop_);
    stream_->Start();
    Present(MakeSurface(1, 71, ::eventfd(0, EFD_CLOEXEC)), 1, sb_rect{0, 0, 4, 4});
    Present(MakeSurface(2, 72, Readable()), 2, sb_rect{8, 0, 4, 4});
  }
  WaitFor([this] { return frames_.size() == 1; });
  const Loop::Lock lock(loop_);
  EXPECT_EQ(frames_.back().sequence, 2u);
  EXPECT_EQ(stream_->counters().stuck, 1u);
  EXPECT_EQ(back_, (std::vector<uint64_t>{1}));
}

TEST_F(ResourceStreamTest, SharedMemoryIsCopiedOnceAndGivenBackAtOnce) {
  const Loop::Lock lock(loop_);
  stream_->Start();
  Present(MakeSurface(1, 0, SharedMemory(0x11)), 1);
  ASSERT_EQ(frames_.size(), 1u);
  EXPECT_EQ(stream_->counters().copied, uint64_t{kWidth} * kHeight * 4);
  EXPECT_EQ(kernel_.memory[0], 0x11);
  EXPECT_EQ(kernel_.memory[kWidth * kHeight * 4 - 1], 0x11);
  Present(MakeSurface(2, 0, SharedMemory(0x22)), 2, sb_rect{4, 2, 8, 3});
  EXPECT_EQ(back_, (std::vector<uint64_t>{1})) << "only the newest is kept";
  stream_->Release(1);
  EXPECT_EQ(stream_->counters().copied, uint64_t{kWidth} * kHeight * 4 + 8 * 3 * 4);
  EXPECT_EQ(kernel_.memory[(2 * kWidth + 4) * 4], 0x22);
  EXPECT_EQ(kernel_.memory[(2 * kWidth + 3) * 4], 0x11) << "outside of the damage";
  EXPECT_EQ(kernel_.memory[(5 * kWidth + 4) * 4], 0x11) << "below the damage";
  EXPECT_EQ(frames_[0].resource, frames_[1].resource);
  EXPECT_EQ(geometries_.size(), 1u);
  EXPECT_TRUE(kernel_.transfers.empty()) << "without a renderer the host reads the guest's memory";
}

TEST_F(ResourceStreamTest, SharedMemoryThatShrinksIsNoCrash) {
  const Loop::Lock lock(loop_);
  stream_->Start();
  const int fd = SharedMemory(1);
  ASSERT_EQ(::ftruncate(fd, 100), 0);
  Present(MakeSurface(1, 0, fd), 1);
  EXPECT_TRUE(frames_.empty());
  Present(MakeSurface(2, 0, SharedMemory(7)), 2, sb_rect{0, 0, 1, 1});
  ASSERT_EQ(frames_.size(), 1u);
  EXPECT_EQ(kernel_.memory[kWidth * kHeight * 4 - 1], 7) << "what was missed is copied now";
}

TEST_F(ResourceStreamTest, AnotherSizeTakesAnotherImage) {
  const Loop::Lock lock(loop_);
  stream_->Start();
  Present(MakeSurface(1, 0, SharedMemory(1)), 1);
  const uint32_t first = frames_.back().resource;
  Taken();
  Present(MakeSurface(2, 0, SharedMemory(2)), 2, std::nullopt, {0, 0, 32, 32});
  stream_->Release(1);
  const uint32_t second = frames_.back().resource;
  EXPECT_NE(first, second);
  EXPECT_EQ(Taken(), (Log{"gone " + std::to_string(first), "geometry " + std::to_string(second),
                          "frame 2 of " + std::to_string(second)}));
  EXPECT_EQ(kernel_.handles.size(), 1u);
}

TEST_F(ResourceStreamTest, NoMemoryForAnImageIsSaidOnce) {
  const Loop::Lock lock(loop_);
  kernel_.map_error = ENOMEM;
  stream_->Start();
  Present(MakeSurface(1, 0, SharedMemory(1)), 1);
  EXPECT_EQ(Taken(), (Log{"waiting", "error"}));
  Present(MakeSurface(2, 0, SharedMemory(1)), 2);
  EXPECT_EQ(Taken(), Log{});
  EXPECT_TRUE(kernel_.handles.empty());
}

TEST_F(ResourceStreamTest, TheEndOfTheSourceEndsTheStream) {
  const Loop::Lock lock(loop_);
  stream_->Start();
  Present(MakeSurface(1, 71, Readable()), 1);
  source_->End(SB_SURFACE_ERROR_NONE, "");
  EXPECT_EQ(back_, (std::vector<uint64_t>{1}));
  stream_->Start();
  stream_->Release(1);
}

}  // namespace
}  // namespace scanbridge::guest
