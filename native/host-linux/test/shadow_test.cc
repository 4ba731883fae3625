// SPDX-License-Identifier: Apache-2.0
#include "core/shadow.h"

#include <gtest/gtest.h>

#include <cstring>

namespace scanbridge::host {
namespace {

constexpr uint32_t kWidth = 150;  // Two whole tiles and a cut one.
constexpr uint32_t kHeight = 70;

struct Image {
  std::vector<uint32_t> pixels = std::vector<uint32_t>(kWidth * kHeight, 0x202020);
  PixelView view() const {
    return {reinterpret_cast<const uint8_t*>(pixels.data()), kWidth * 4, kWidth, kHeight,
            PixelOrder::kBgrx};
  }
  uint32_t& At(uint32_t x, uint32_t y) { return pixels[y * kWidth + x]; }
};

TileSet All() {
  TileSet tiles(kWidth, kHeight);
  tiles.AddAll();
  return tiles;
}

bool Same(const Shadow& shadow, const Image& image) {
  return std::memcmp(shadow.view().data, image.pixels.data(), image.pixels.size() * 4) == 0;
}

TEST(Shadow, FirstPictureIsAllNewEvenIfItIsBlack) {
  Shadow shadow(kWidth, kHeight, PixelOrder::kBgrx);
  Image image;
  std::fill(image.pixels.begin(), image.pixels.end(), 0u);
  EXPECT_EQ(shadow.Update(image.view(), All()).count(), 6u);
}

TEST(Shadow, FindsTheTilesThatChangedAndCopiesThem) {
  Shadow shadow(kWidth, kHeight, PixelOrder::kBgrx);
  Image image;
  shadow.Update(image.view(), All());
  EXPECT_TRUE(shadow.Update(image.view(), All()).empty());
  image.At(149, 69) = 1;
  image.At(64, 63) = 2;
  const TileSet changed = shadow.Update(image.view(), All());
  EXPECT_EQ(changed.count(), 2u);
  EXPECT_TRUE(changed.Has(2, 1));
  EXPECT_TRUE(changed.Has(1, 0));
  EXPECT_TRUE(Same(shadow, image));
}

TEST(Shadow, LooksOnlyAtCandidates) {
  Shadow shadow(kWidth, kHeight, PixelOrder::kBgrx);
  Image image;
  shadow.Update(image.view(), All());
  image.At(0, 0) = 1;
  image.At(149, 0) = 1;
  TileSet candidates(kWidth, kHeight);
  candidates.Add(sb_rect{140, 0, 10, 64});
  EXPECT_EQ(candidates.count(), 1u);
  EXPECT_EQ(shadow.Update(image.view(), candidates).count(), 1u);
  EXPECT_FALSE(Same(shadow, image));
  EXPECT_EQ(shadow.Update(image.view(), All()).count(), 1u);
  EXPECT_TRUE(Same(shadow, image));
}

TEST(Shadow, ReadsInvertedPictures) {
  Shadow shadow(kWidth, kHeight, PixelOrder::kBgrx);
  Image image;
  image.At(3, 0) = 7;
  const PixelView upright = image.view();
  const PixelView inverted{upright.data + (kHeight - 1) * upright.stride, -upright.stride, kWidth,
                           kHeight, PixelOrder::kBgrx};
  shadow.Update(inverted, All());
  uint32_t pixel;
  std::memcpy(&pixel, shadow.view().data + ((kHeight - 1) * kWidth + 3) * 4, 4);
  EXPECT_EQ(pixel, 7u);
}

TEST(TileSet, AddsWhatARectangleTouches) {
  TileSet tiles(kWidth, kHeight);
  tiles.Add(sb_rect{63, 63, 2, 2});
  EXPECT_EQ(tiles.count(), 4u);
  tiles.Clear();
  tiles.Add(sb_rect{0, 0, kWidth, kHeight});
  EXPECT_EQ(tiles.count(), 6u);
}

}  // namespace
}  // namespace scanbridge::host
