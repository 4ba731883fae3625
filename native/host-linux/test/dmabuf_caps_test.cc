// SPDX-License-Identifier: Apache-2.0
#include "encode/dmabuf_caps.h"

#include <drm_fourcc.h>
#include <gtest/gtest.h>

namespace scanbridge::host {
namespace {

struct Row {
  uint32_t fourcc;
  uint64_t modifier;
  unsigned minor;
  /// Empty: there are no caps.
  const char* fields;
};

TEST(DmaBufCaps, AreSpelledAsEachGStreamerWantsThem) {
  constexpr uint64_t kTiled = 0x0300000000606010;
  const Row rows[] = {
      {DRM_FORMAT_XRGB8888, 0, 22, "format=BGRx"},
      {DRM_FORMAT_ABGR8888, 0, 20, "format=RGBA"},
      {DRM_FORMAT_XRGB8888, kTiled, 22, ""},
      // With ":0x0000000000000000" behind it, GStreamer calls it invalid.
      {DRM_FORMAT_XRGB8888, 0, 24, "format=DMA_DRM,drm-format=XR24"},
      {DRM_FORMAT_XRGB8888, 0, 26, "format=DMA_DRM,drm-format=XR24"},
      {DRM_FORMAT_XRGB8888, kTiled, 26, "format=DMA_DRM,drm-format=XR24:0x0300000000606010"},
      {DRM_FORMAT_ARGB8888, 1, 28, "format=DMA_DRM,drm-format=AR24:0x0000000000000001"},
      {DRM_FORMAT_XRGB8888, DRM_FORMAT_MOD_INVALID, 26, ""},
  };
  for (const Row& row : rows) {
    const auto result = DmaBufFormatOf(row.fourcc, row.modifier, {1, row.minor});
    const auto* const format = std::get_if<DmaBufFormat>(&result);
    ASSERT_EQ(format != nullptr, *row.fields != 0) << row.minor << " " << row.modifier;
    if (format != nullptr) {
      EXPECT_EQ(format->fields, row.fields);
    }
  }
}

}  // namespace
}  // namespace scanbridge::host
