// SPDX-License-Identifier: Apache-2.0
#include "server/damage.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace scanbridge::guest {
namespace {

uint64_t Area(const sb_rect& r) {
  return uint64_t{r.width} * r.height;
}

sb_rect Bounding(const sb_rect& a, const sb_rect& b) {
  const uint32_t x = std::min(a.x, b.x);
  const uint32_t y = std::min(a.y, b.y);
  return {x, y, std::max(a.x + a.width, b.x + b.width) - x,
          std::max(a.y + a.height, b.y + b.height) - y};
}

bool Contains(const sb_rect& outer, const sb_rect& inner) {
  return inner.x >= outer.x && inner.y >= outer.y &&
         inner.x + inner.width <= outer.x + outer.width &&
         inner.y + inner.height <= outer.y + outer.height;
}

}  // namespace

sb_rect Intersect(const sb_rect& rect, const sb_rect& bounds) {
  // 64 bits: both come from outside and may lie anywhere.
  const uint64_t left = std::max(rect.x, bounds.x);
  const uint64_t top = std::max(rect.y, bounds.y);
  const uint64_t right = std::min(uint64_t{rect.x} + rect.width, uint64_t{bounds.x} + bounds.width);
  const uint64_t bottom =
      std::min(uint64_t{rect.y} + rect.height, uint64_t{bounds.y} + bounds.height);
  if (right <= left || bottom <= top) return {bounds.x, bounds.y, 0, 0};
  return {static_cast<uint32_t>(left), static_cast<uint32_t>(top),
          static_cast<uint32_t>(right - left), static_cast<uint32_t>(bottom - top)};
}

void Damage::AddAll() {
  all_ = true;
  count_ = 0;
}

void Damage::Add(const sb_rect& rect) {
  if (all_ || Area(rect) == 0) return;
  sb_rect added = rect;
  while (true) {
    for (size_t i = 0; i < count_;) {
      if (Contains(rects_[i], added)) return;
      if (Contains(added, rects_[i])) {
        RemoveAt(i);
      } else {
        i++;
      }
    }
    if (count_ < rects_.size()) {
      rects_[count_++] = added;
      return;
    }
    // Full: unite the new one with the rectangle that wastes the least area, and try again with the
    // union.
    size_t best = 0;
    uint64_t least = std::numeric_limits<uint64_t>::max();
    for (size_t i = 0; i < count_; i++) {
      const uint64_t waste = Area(Bounding(rects_[i], added)) - Area(rects_[i]);
      if (waste < least) {
        least = waste;
        best = i;
      }
    }
    added = Bounding(rects_[best], added);
    RemoveAt(best);
  }
}

void Damage::Add(const Damage& other) {
  if (other.all_) AddAll();
  for (const sb_rect& rect : other.rects()) Add(rect);
}

void Damage::Clear() {
  all_ = false;
  count_ = 0;
}

void Damage::RemoveAt(size_t i) {
  rects_[i] = rects_[--count_];
}

}  // namespace scanbridge::guest
