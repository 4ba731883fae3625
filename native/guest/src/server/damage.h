// SPDX-License-Identifier: Apache-2.0
// What changed in a picture since an earlier one: at most SB_MAX_DAMAGE rectangles, or all of it.
#ifndef SCANBRIDGE_GUEST_SERVER_DAMAGE_H_
#define SCANBRIDGE_GUEST_SERVER_DAMAGE_H_

#include <scanbridge/surface.h>

#include <array>
#include <cstddef>
#include <span>

namespace scanbridge::guest {

/// The part of `rect` that lies within `bounds`; width 0 when there is none.
sb_rect Intersect(const sb_rect& rect, const sb_rect& bounds);

/// A union of rectangles in pixels of a surface. Rectangles beyond SB_MAX_DAMAGE are merged, so it
/// may grow larger than what was added but never smaller.
class Damage {
 public:
  /// Everything has changed, whatever the size.
  void AddAll();
  /// Empty rectangles are ignored.
  void Add(const sb_rect& rect);
  void Add(const Damage& other);
  void Clear();

  bool all() const { return all_; }
  bool empty() const { return !all_ && count_ == 0; }
  /// Empty when all() is true.
  std::span<const sb_rect> rects() const { return {rects_.data(), count_}; }

 private:
  void RemoveAt(size_t i);

  bool all_ = false;
  size_t count_ = 0;
  std::array<sb_rect, SB_MAX_DAMAGE> rects_{};
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SERVER_DAMAGE_H_
