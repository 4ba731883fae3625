// SPDX-License-Identifier: Apache-2.0
#include "pipewire/picture_meta.h"

#include <gtest/gtest.h>
#include <spa/param/video/raw.h>

#include "spa_picture.h"

namespace scanbridge::guest {
namespace {

using test::SpaPicture;

constexpr sb_rect kWhole = {0, 0, 640, 480};

spa_meta_region Region(int32_t x, int32_t y, uint32_t width, uint32_t height) {
  return {{{x, y}, {width, height}}};
}

TEST(PictureMeta, TellsPicturesFromCursorUpdates) {
  SpaPicture picture;
  EXPECT_TRUE(HasPicture(picture.buffer()));
  picture.chunk.flags = SPA_CHUNK_FLAG_CORRUPTED;
  EXPECT_FALSE(HasPicture(picture.buffer()));
  picture.chunk = {0, 0, 16, 0};
  EXPECT_FALSE(HasPicture(picture.buffer()));
}

TEST(PictureMeta, TakesOnlyTimesOfThisClock) {
  constexpr uint64_t kNow = 1'000'000'000'000;
  for (const auto& [pts, expected] :
       std::initializer_list<std::pair<int64_t, uint64_t>>{{999'990'000'000, 999'990'000'000},
                                                           {0, kNow},
                                                           {-5, kNow},
                                                           {1'000'000'000'001, kNow},
                                                           {1, kNow}}) {
    spa_meta_header header{};
    header.pts = pts;
    SpaPicture picture;
    picture.AddMeta(SPA_META_Header, &header, sizeof header);
    EXPECT_EQ(ReadPts(picture.buffer(), kNow), expected) << pts;
  }
  SpaPicture without;
  EXPECT_EQ(ReadPts(without.buffer(), kNow), kNow);
}

TEST(PictureMeta, RefusesCropsBeyondTheBuffer) {
  const auto crop = [](spa_meta_region region) {
    SpaPicture picture;
    picture.AddMeta(SPA_META_VideoCrop, &region, sizeof region);
    return ReadCrop(picture.buffer(), 640, 480);
  };
  ASSERT_TRUE(crop(Region(10, 20, 300, 200)));
  EXPECT_EQ(crop(Region(10, 20, 300, 200))->y, 20u);
  EXPECT_EQ(crop(Region(0, 0, 0, 0))->width, 640u);
  EXPECT_FALSE(crop(Region(-1, 0, 10, 10)));
  EXPECT_FALSE(crop(Region(600, 0, 41, 10)));
  EXPECT_FALSE(crop(Region(0, 0, 0xffffffff, 10)));
}

TEST(PictureMeta, ReadsDamageUntilTheFirstInvalidRegion) {
  const spa_meta_region regions[3] = {Region(600, 0, 100, 10), Region(0, 0, 0, 0),
                                      Region(1, 1, 1, 1)};
  SpaPicture picture;
  picture.AddMeta(SPA_META_VideoDamage, regions, sizeof regions);
  Damage damage;
  ReadDamage(picture.buffer(), kWhole, damage);
  ASSERT_EQ(damage.rects().size(), 1u);
  EXPECT_EQ(damage.rects()[0].width, 40u);
  SpaPicture without;
  ReadDamage(without.buffer(), kWhole, damage);
  EXPECT_TRUE(damage.all());
}

struct CursorMeta {
  spa_meta_cursor cursor;
  spa_meta_bitmap bitmap;
  uint8_t pixels[2 * 2 * 4];
};

CursorMeta Shape() {
  CursorMeta meta{};
  meta.cursor.id = 1;
  meta.cursor.position = {30, 40};
  meta.cursor.hotspot = {-3, 5000};
  meta.cursor.bitmap_offset = offsetof(CursorMeta, bitmap);
  meta.bitmap = {SPA_VIDEO_FORMAT_RGBA, {2, 2}, 8, sizeof(spa_meta_bitmap)};
  for (uint8_t i = 0; i < sizeof meta.pixels; i++) meta.pixels[i] = i;
  return meta;
}

bool Read(const CursorMeta& meta, Cursor& cursor) {
  SpaPicture picture;
  picture.AddMeta(SPA_META_Cursor, &meta, sizeof meta);
  return ReadCursor(picture.buffer(), {10, 10, 100, 100}, cursor);
}

TEST(PictureMeta, ReadsAndConvertsTheCursor) {
  Cursor cursor;
  EXPECT_TRUE(Read(Shape(), cursor));
  EXPECT_TRUE(cursor.visible);
  EXPECT_EQ(cursor.x, 20);
  EXPECT_EQ(cursor.y, 30);
  EXPECT_EQ(cursor.hot_x, 0u);
  EXPECT_EQ(cursor.hot_y, SB_MAX_CURSOR_DIMENSION);
  ASSERT_EQ(cursor.pixels.size(), 16u);
  EXPECT_EQ(cursor.pixels[0], 2);  // blue
  EXPECT_EQ(cursor.pixels[2], 0);  // red
  CursorMeta same = Shape();
  same.cursor.bitmap_offset = 0;
  EXPECT_FALSE(Read(same, cursor)) << "nothing has changed";
  same.cursor.position.x = 31;
  EXPECT_TRUE(Read(same, cursor));
  EXPECT_EQ(cursor.pixels.size(), 16u) << "the shape stays";
  CursorMeta gone{};
  EXPECT_TRUE(Read(gone, cursor));
  EXPECT_FALSE(cursor.visible);
}

TEST(PictureMeta, RefusesShapesThatLieOutside) {
  const auto refused = [](auto change) {
    CursorMeta meta = Shape();
    change(meta);
    Cursor cursor;
    Read(meta, cursor);
    return cursor.shape_serial == 0;
  };
  EXPECT_FALSE(refused([](CursorMeta&) {}));
  EXPECT_TRUE(refused([](CursorMeta& m) { m.bitmap.size.height = 3; }));
  EXPECT_TRUE(refused([](CursorMeta& m) { m.bitmap.stride = 7; }));
  EXPECT_TRUE(refused([](CursorMeta& m) { m.bitmap.stride = -8; }));
  EXPECT_TRUE(refused([](CursorMeta& m) { m.bitmap.offset = 0xfffffff0; }));
  EXPECT_TRUE(refused([](CursorMeta& m) { m.bitmap.size = {257, 1}; }));
  EXPECT_TRUE(refused([](CursorMeta& m) { m.cursor.bitmap_offset = 0xfffffff0; }));
  EXPECT_TRUE(refused([](CursorMeta& m) { m.bitmap.format = SPA_VIDEO_FORMAT_NV12; }));
}

}  // namespace
}  // namespace scanbridge::guest
