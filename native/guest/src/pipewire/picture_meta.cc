// SPDX-License-Identifier: Apache-2.0
#include "pipewire/picture_meta.h"

#include <spa/buffer/meta.h>
#include <spa/param/video/raw.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace scanbridge::guest {
namespace {

// A time stamp further away than this is of another clock.
constexpr int64_t kPlausible = 10'000'000'000;

/// A copy, because the producer may change the original at any time.
template <typename T>
std::optional<T> CopyMeta(const spa_buffer& buffer, uint32_t type) {
  const void* data = spa_buffer_find_meta_data(&buffer, type, sizeof(T));
  if (data == nullptr) return std::nullopt;
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

std::span<const uint8_t> MetaBytes(const spa_buffer& buffer, uint32_t type) {
  const spa_meta* meta = spa_buffer_find_meta(&buffer, type);
  if (meta == nullptr || meta->data == nullptr) return {};
  return {static_cast<const uint8_t*>(meta->data), meta->size};
}

/// Nothing when a coordinate is negative.
std::optional<sb_rect> ToRect(const spa_region& region) {
  if (region.position.x < 0 || region.position.y < 0) return std::nullopt;
  return sb_rect{static_cast<uint32_t>(region.position.x), static_cast<uint32_t>(region.position.y),
                 region.size.width, region.size.height};
}

/// The order of bytes in memory that AR24 wants, by which byte of the source comes where.
struct ByteOrder {
  int blue, green, red, alpha;
};

std::optional<ByteOrder> OrderOf(uint32_t format) {
  switch (format) {
    case SPA_VIDEO_FORMAT_BGRA:
      return ByteOrder{0, 1, 2, 3};
    case SPA_VIDEO_FORMAT_RGBA:
      return ByteOrder{2, 1, 0, 3};
    case SPA_VIDEO_FORMAT_ARGB:
      return ByteOrder{3, 2, 1, 0};
    case SPA_VIDEO_FORMAT_ABGR:
      return ByteOrder{1, 2, 3, 0};
    default:
      return std::nullopt;
  }
}

/// False when the bitmap is malformed or does not lie in `meta`.
bool ReadShape(std::span<const uint8_t> meta, uint32_t offset, Cursor& cursor) {
  spa_meta_bitmap bitmap;
  if (offset > meta.size() || meta.size() - offset < sizeof bitmap) return false;
  std::memcpy(&bitmap, meta.data() + offset, sizeof bitmap);
  const uint32_t width = bitmap.size.width;
  const uint32_t height = bitmap.size.height;
  if (bitmap.offset == 0 || width == 0 || height == 0) {
    // No image: the cursor is hidden until the next shape.
    cursor.visible = false;
    return true;
  }
  const auto order = OrderOf(bitmap.format);
  if (!order || width > SB_MAX_CURSOR_DIMENSION || height > SB_MAX_CURSOR_DIMENSION) return false;
  const int64_t stride = bitmap.stride;
  if (stride < int64_t{width} * 4 || bitmap.offset < sizeof bitmap) return false;
  const uint64_t begin = uint64_t{offset} + bitmap.offset;
  const uint64_t end = begin + static_cast<uint64_t>(stride) * (height - 1) + uint64_t{width} * 4;
  if (end > meta.size()) return false;
  cursor.pixels.resize(size_t{width} * height * 4);
  for (uint32_t y = 0; y < height; y++) {
    const uint8_t* from = meta.data() + begin + static_cast<uint64_t>(stride) * y;
    uint8_t* to = cursor.pixels.data() + size_t{y} * width * 4;
    for (uint32_t x = 0; x < width; x++, from += 4, to += 4) {
      to[0] = from[order->blue];
      to[1] = from[order->green];
      to[2] = from[order->red];
      to[3] = from[order->alpha];
    }
  }
  cursor.width = width;
  cursor.height = height;
  cursor.shape_serial++;
  return true;
}

}  // namespace

bool HasPicture(const spa_buffer& buffer) {
  if (buffer.n_datas == 0 || buffer.datas[0].chunk == nullptr) return false;
  const spa_chunk chunk = *buffer.datas[0].chunk;
  if (chunk.size == 0 || (chunk.flags & SPA_CHUNK_FLAG_CORRUPTED) != 0) return false;
  const auto header = CopyMeta<spa_meta_header>(buffer, SPA_META_Header);
  return !header || (header->flags & SPA_META_HEADER_FLAG_CORRUPTED) == 0;
}

uint64_t ReadPts(const spa_buffer& buffer, uint64_t now) {
  const auto header = CopyMeta<spa_meta_header>(buffer, SPA_META_Header);
  if (!header || header->pts <= 0) return now;
  const auto pts = static_cast<uint64_t>(header->pts);
  const auto difference = static_cast<int64_t>(pts - now);
  return difference > -kPlausible && difference <= 0 ? pts : now;
}

std::optional<sb_rect> ReadCrop(const spa_buffer& buffer, uint32_t width, uint32_t height) {
  const sb_rect whole = {0, 0, width, height};
  const auto meta = CopyMeta<spa_meta_region>(buffer, SPA_META_VideoCrop);
  if (!meta || !spa_meta_region_is_valid(&*meta)) return whole;
  const auto crop = ToRect(meta->region);
  if (!crop) return std::nullopt;
  const sb_rect inside = Intersect(*crop, whole);
  if (inside.width != crop->width || inside.height != crop->height) return std::nullopt;
  return crop;
}

void ReadDamage(const spa_buffer& buffer, const sb_rect& crop, Damage& damage) {
  const auto bytes = MetaBytes(buffer, SPA_META_VideoDamage);
  bool any = false;
  for (size_t at = 0; at + sizeof(spa_meta_region) <= bytes.size(); at += sizeof(spa_meta_region)) {
    spa_meta_region region;
    std::memcpy(&region, bytes.data() + at, sizeof region);
    if (!spa_meta_region_is_valid(&region)) break;
    any = true;
    const auto rect = ToRect(region.region);
    if (!rect) return damage.AddAll();
    damage.Add(Intersect(*rect, crop));
  }
  if (!any) damage.AddAll();
}

bool ReadCursor(const spa_buffer& buffer, const sb_rect& crop, Cursor& cursor) {
  const auto bytes = MetaBytes(buffer, SPA_META_Cursor);
  spa_meta_cursor meta;
  if (bytes.size() < sizeof meta) return false;
  std::memcpy(&meta, bytes.data(), sizeof meta);
  if (!spa_meta_cursor_is_valid(&meta)) {
    // Mutter says "no cursor in this picture" like this once it had one.
    if (cursor.shape_serial == 0 || !cursor.visible) return false;
    cursor.visible = false;
    return true;
  }
  const bool was_visible = std::exchange(cursor.visible, true);
  const int32_t was_x = std::exchange(cursor.x, meta.position.x - static_cast<int32_t>(crop.x));
  const int32_t was_y = std::exchange(cursor.y, meta.position.y - static_cast<int32_t>(crop.y));
  const uint64_t was_shape = cursor.shape_serial;
  if (meta.bitmap_offset >= sizeof meta && ReadShape(bytes, meta.bitmap_offset, cursor)) {
    constexpr int32_t kLast = SB_MAX_CURSOR_DIMENSION;
    cursor.hot_x = static_cast<uint32_t>(std::clamp(meta.hotspot.x, 0, kLast));
    cursor.hot_y = static_cast<uint32_t>(std::clamp(meta.hotspot.y, 0, kLast));
  }
  return cursor.visible != was_visible || cursor.x != was_x || cursor.y != was_y ||
         cursor.shape_serial != was_shape;
}

}  // namespace scanbridge::guest
