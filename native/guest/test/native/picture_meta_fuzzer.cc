// SPDX-License-Identifier: Apache-2.0
// Whatever a compositor writes into a buffer's metadata: no read beyond it, no result beyond the
// picture.
#include <cstdlib>

#include "pipewire/picture_meta.h"
#include "spa_picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace scanbridge::guest;
  constexpr uint32_t kTypes[] = {SPA_META_Header, SPA_META_VideoCrop, SPA_META_VideoDamage,
                                 SPA_META_Cursor};
  test::SpaPicture picture;
  // One byte of length for each, four bytes a step.
  for (const uint32_t type : kTypes) {
    if (size == 0) break;
    size_t length = size_t{bytes[0]} * 4;
    bytes++;
    size--;
    if (length > size) length = size;
    picture.AddMeta(type, bytes, length);
    bytes += length;
    size -= length;
  }
  const spa_buffer& buffer = picture.buffer();
  (void)HasPicture(buffer);
  if (ReadPts(buffer, 1'000'000'000'000) > 1'000'000'000'000) std::abort();
  const auto crop = ReadCrop(buffer, 640, 480);
  if (!crop) return 0;
  if (crop->x + crop->width > 640 || crop->y + crop->height > 480) std::abort();
  Damage damage;
  ReadDamage(buffer, *crop, damage);
  for (const sb_rect& rect : damage.rects()) {
    if (rect.x + rect.width > 640 || rect.y + rect.height > 480) std::abort();
  }
  Cursor cursor;
  ReadCursor(buffer, *crop, cursor);
  if (cursor.pixels.size() != size_t{cursor.width} * cursor.height * 4) std::abort();
  return 0;
}
