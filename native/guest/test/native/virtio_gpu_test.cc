// SPDX-License-Identifier: Apache-2.0
// VirtioGpu on the fake kernel. The real one is tried in a guest, by
// test/vm/resource-path.integration.test.ts.
#include "drm/virtio_gpu.h"

#include <drm_fourcc.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "fake_kernel.h"

namespace scanbridge::guest {
namespace {

DrmErrorCode CodeOf(VirtioGpu& gpu, int fd) {
  try {
    gpu.Resolve(fd);
  } catch (const DrmError& error) {
    EXPECT_NE(std::string(error.what()), "");
    return error.code();
  }
  ADD_FAILURE() << "it was resolved";
  return DrmErrorCode::kFailed;
}

TEST(VirtioGpu, NamesTheResourceAndNotTheHandle) {
  FakeKernel kernel;
  kernel.dmabufs[7] = 42;
  const auto gpu = OpenFake(kernel);
  EXPECT_EQ(gpu->Resolve(7).resource, 1042u);
  EXPECT_EQ(gpu->Resolve(7).size, 4096u);
  EXPECT_TRUE(kernel.handles.empty());
  EXPECT_EQ(kernel.bad_closes, 0u);
}

TEST(VirtioGpu, SaysWhatIsWrongWithADescriptor) {
  FakeKernel kernel;
  kernel.dmabufs[7] = 42;
  kernel.foreign.insert(8);
  const auto gpu = OpenFake(kernel);
  EXPECT_EQ(CodeOf(*gpu, 9), DrmErrorCode::kNotDmaBuf);
  EXPECT_EQ(CodeOf(*gpu, -1), DrmErrorCode::kNotDmaBuf);
  EXPECT_EQ(CodeOf(*gpu, 8), DrmErrorCode::kNotOfThisGpu);
  kernel.info_error = ENOTTY;
  EXPECT_EQ(CodeOf(*gpu, 7), DrmErrorCode::kDriverTooOld);
  kernel.info_error = ENOMEM;
  EXPECT_EQ(CodeOf(*gpu, 7), DrmErrorCode::kNoMemory);
  EXPECT_TRUE(kernel.handles.empty()) << "a failure leaves no handle";
}

TEST(VirtioGpu, WantsADriverThatImports) {
  FakeKernel kernel;
  kernel.prime = DRM_PRIME_CAP_EXPORT;
  try {
    OpenFake(kernel);
    FAIL();
  } catch (const DrmError& error) {
    EXPECT_EQ(error.code(), DrmErrorCode::kDriverTooOld);
  }
}

TEST(VirtioGpu, StreamsThatShareABufferDoNotCloseItForEachOther) {
  FakeKernel kernel;
  for (int fd = 0; fd < 4; fd++) kernel.dmabufs[100 + fd] = 7;
  const auto gpu = OpenFake(kernel);
  std::vector<std::thread> threads;
  for (int fd = 0; fd < 4; fd++) {
    threads.emplace_back([&, fd] {
      for (int i = 0; i < 500; i++) EXPECT_EQ(gpu->Resolve(100 + fd).resource, 1007u);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(kernel.handles.empty());
  EXPECT_EQ(kernel.bad_closes, 0u);
}

TEST(VirtioGpu, AnImageLastsAlthoughSomebodyImportsItsMemory) {
  FakeKernel kernel;
  kernel.rendering = 1;
  const auto gpu = OpenFake(kernel);
  EXPECT_TRUE(gpu->features().rendering);
  auto image = gpu->CreateImage(64, 32, DRM_FORMAT_XRGB8888);
  EXPECT_EQ(image->stride(), 256u);
  EXPECT_EQ(image->pixels().size(), 256u * 32);
  kernel.dmabufs[9] = image->resource() - 1000;
  EXPECT_EQ(gpu->Resolve(9).resource, image->resource());
  EXPECT_EQ(kernel.handles.size(), 1u) << "it is still ours";
  image->Transfer({3, 2, 10, 4});
  ASSERT_EQ(kernel.transfers.size(), 1u);
  EXPECT_EQ(kernel.transfers[0].offset, 2u * 256 + 3 * 4);
  EXPECT_EQ(kernel.transfers[0].box.w, 10u);
  image.reset();
  EXPECT_TRUE(kernel.handles.empty());
}

TEST(VirtioGpu, AnImageThatCannotBeMadeLeavesNothing) {
  FakeKernel kernel;
  const auto gpu = OpenFake(kernel);
  kernel.map_error = ENOMEM;
  EXPECT_THROW(gpu->CreateImage(64, 32, DRM_FORMAT_XRGB8888), DrmError);
  kernel.map_error = 0;
  EXPECT_THROW(gpu->CreateImage(0, 32, DRM_FORMAT_XRGB8888), DrmError);
  EXPECT_THROW(gpu->CreateImage(16'385, 32, DRM_FORMAT_XRGB8888), DrmError);
  EXPECT_THROW(gpu->CreateImage(64, 32, DRM_FORMAT_NV12), DrmError);
  EXPECT_THROW(gpu->CreateImage(4096, 4096, DRM_FORMAT_XRGB8888), DrmError) << "not to be mapped";
  EXPECT_TRUE(kernel.handles.empty());
}

}  // namespace
}  // namespace scanbridge::guest
