// SPDX-License-Identifier: Apache-2.0
#include "core/i420_picture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace scanbridge::host {
namespace {

struct Rgb {
  int r, g, b;
};

/// BT.601, limited range, as the standard defines it.
std::array<int, 3> Expected(Rgb c) {
  const double y = 16 + (65.481 * c.r + 128.553 * c.g + 24.966 * c.b) / 255;
  const double u = 128 + (-37.797 * c.r - 74.203 * c.g + 112.0 * c.b) / 255;
  const double v = 128 + (112.0 * c.r - 93.786 * c.g - 18.214 * c.b) / 255;
  return {static_cast<int>(std::lround(y)), static_cast<int>(std::lround(u)),
          static_cast<int>(std::lround(v))};
}

/// Byte positions of R, G, B.
std::array<int, 3> Positions(PixelOrder order) {
  switch (order) {
    case PixelOrder::kBgrx:
      return {2, 1, 0};
    case PixelOrder::kRgbx:
      return {0, 1, 2};
    case PixelOrder::kXbgr:
      return {3, 2, 1};
    case PixelOrder::kXrgb:
      return {1, 2, 3};
  }
  return {};
}

struct Image {
  Image(uint32_t w, uint32_t h, PixelOrder o = PixelOrder::kBgrx)
      : width(w), height(h), order(o), bytes(size_t{w} * h * 4, 0xee) {}
  void Set(uint32_t x, uint32_t y, Rgb c) {
    const auto at = Positions(order);
    uint8_t* const pixel = bytes.data() + (size_t{y} * width + x) * 4;
    pixel[at[0]] = static_cast<uint8_t>(c.r);
    pixel[at[1]] = static_cast<uint8_t>(c.g);
    pixel[at[2]] = static_cast<uint8_t>(c.b);
  }
  void Fill(Rgb c) {
    for (uint32_t y = 0; y < height; y++) {
      for (uint32_t x = 0; x < width; x++) Set(x, y, c);
    }
  }
  PixelView view() const {
    return {bytes.data(), static_cast<ptrdiff_t>(width * 4), width, height, order};
  }
  uint32_t width, height;
  PixelOrder order;
  std::vector<uint8_t> bytes;
};

int Sample(const I420Picture& p, size_t plane, uint32_t x, uint32_t y) {
  return p.data()[p.offsets()[plane] + y * static_cast<size_t>(p.strides()[plane]) + x];
}

TEST(I420Picture, ColoursAreBt601LimitedInEveryOrder) {
  for (const PixelOrder order :
       {PixelOrder::kBgrx, PixelOrder::kRgbx, PixelOrder::kXbgr, PixelOrder::kXrgb}) {
    for (const Rgb colour : {Rgb{255, 255, 255}, Rgb{0, 0, 0}, Rgb{255, 0, 0}, Rgb{0, 255, 0},
                             Rgb{0, 0, 255}, Rgb{12, 200, 99}}) {
      Image image(64, 64, order);
      image.Fill(colour);
      I420Picture picture(64, 64);
      picture.Refresh(image.view());
      const auto expected = Expected(colour);
      for (size_t plane = 0; plane < 3; plane++) {
        // libyuv computes with 8-bit coefficients.
        EXPECT_NEAR(Sample(picture, plane, 31, 31), expected[plane], 2)
            << static_cast<int>(order) << " " << plane;
      }
    }
  }
}

TEST(I420Picture, OddAndTinySizesRepeatTheEdge) {
  for (const auto& [width, height] : {std::pair{131u, 67u}, {1u, 1u}, {17u, 15u}, {16u, 16u}}) {
    Image image(width, height);
    image.Fill({10, 20, 30});
    for (uint32_t y = 0; y < height; y++) image.Set(width - 1, y, {250, 250, 250});
    for (uint32_t x = 0; x < width; x++) image.Set(x, height - 1, {250, 250, 250});
    I420Picture picture(width, height);
    EXPECT_EQ(picture.coded_width() % 2, 0u);
    EXPECT_GE(picture.coded_height(), 16u);
    picture.Refresh(image.view());
    const int edge = Expected({250, 250, 250})[0];
    for (uint32_t y = 0; y < picture.coded_height(); y++) {
      for (uint32_t x = 0; x < picture.coded_width(); x++) {
        if (x >= width - 1 || y >= height - 1) {
          ASSERT_NEAR(Sample(picture, 0, x, y), edge, 2)
              << width << "x" << height << " " << x << "," << y;
        }
      }
    }
  }
}

TEST(I420Picture, PartialRefreshGivesWhatAWholeOneGives) {
  std::mt19937 random(7);
  constexpr uint32_t kWidth = 203;
  constexpr uint32_t kHeight = 141;
  Image image(kWidth, kHeight);
  I420Picture partial(kWidth, kHeight);
  partial.Refresh(image.view());
  for (int round = 0; round < 40; round++) {
    TileSet changed(kWidth, kHeight);
    for (int i = 0; i < 5; i++) {
      const uint32_t x = random() % kWidth;
      const uint32_t y = random() % kHeight;
      image.Set(x, y, {static_cast<int>(random() % 256), static_cast<int>(random() % 256), 5});
      changed.Add(sb_rect{x, y, 1, 1});
    }
    partial.Outdate(changed);
    partial.Refresh(image.view());
    I420Picture whole(kWidth, kHeight);
    whole.Refresh(image.view());
    for (size_t plane = 0; plane < 3; plane++) {
      const uint32_t width = plane == 0 ? whole.coded_width() : whole.coded_width() / 2;
      const uint32_t height = plane == 0 ? whole.coded_height() : whole.coded_height() / 2;
      for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
          // Vector and scalar code of libyuv round chroma differently.
          ASSERT_NEAR(Sample(partial, plane, x, y), Sample(whole, plane, x, y), 1)
              << round << " " << plane << " " << x << "," << y;
        }
      }
    }
  }
}

TEST(I420Picture, RefreshTouchesOnlyWhatIsOutdated) {
  Image image(128, 128);
  image.Fill({0, 0, 0});
  I420Picture picture(128, 128);
  picture.Refresh(image.view());
  image.Fill({255, 255, 255});
  TileSet changed(128, 128);
  changed.Add(1, 1);
  picture.Outdate(changed);
  picture.Refresh(image.view());
  EXPECT_NEAR(Sample(picture, 0, 127, 127), 235, 1);
  EXPECT_NEAR(Sample(picture, 0, 63, 127), 16, 1);
  EXPECT_NEAR(Sample(picture, 0, 127, 63), 16, 1);
}

}  // namespace
}  // namespace scanbridge::host
