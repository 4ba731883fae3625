// SPDX-License-Identifier: Apache-2.0
#include "engine/test_pattern.h"

#include <algorithm>

#include "core/clock.h"

namespace scanbridge::host {
namespace {

constexpr uint32_t kBlock = 8;
constexpr uint32_t kBits = 32;
constexpr uint32_t kBarWidth = 32;
constexpr uint32_t kStep = 4;
constexpr uint32_t kWhite = 0xffffff;
constexpr uint32_t kBlack = 0x000000;
/// 75 % bars, as 0xRRGGBB.
constexpr uint32_t kBars[] = {0xbfbfbf, 0xbfbf00, 0x00bfbf, 0x00bf00, 0xbf00bf, 0xbf0000, 0x0000bf};

}  // namespace

TestPattern::TestPattern(uint32_t width, uint32_t height, uint32_t fps)
    : width_(width),
      height_(height),
      interval_(1'000'000'000u / fps),
      pixels_(size_t{width} * height) {}

std::optional<EngineError> TestPattern::Open() {
  for (uint32_t y = 0; y < height_; y++) {
    for (uint32_t x = 0; x < width_; x++) pixels_[size_t{y} * width_ + x] = Background(x, y);
  }
  next_ = MonotonicNow();
  return std::nullopt;
}

std::optional<FrameSource::End> TestPattern::Dispatch(SourceObserver&) {
  const uint64_t now = MonotonicNow();
  if (now < next_) return std::nullopt;
  const uint64_t replaced = pending_ ? pending_->replaced + 1 : 0;
  const uint64_t missed = (now - next_) / interval_;
  next_ += (missed + 1) * interval_;
  Paint();
  PendingFrame& frame = pending_.emplace();
  frame.width = width_;
  frame.height = height_;
  frame.candidates = TileSet(width_, height_);
  frame.candidates.AddAll();
  frame.pts = now;
  frame.arrival = MonotonicNow();
  frame.replaced = replaced + missed;
  number_ += static_cast<uint32_t>(missed) + 1;
  return std::nullopt;
}

bool TestPattern::Take(const std::function<void(const PixelView&)>& read) {
  read({reinterpret_cast<const uint8_t*>(pixels_.data()),
        static_cast<ptrdiff_t>(size_t{width_} * kBytesPerPixel), width_, height_,
        PixelOrder::kBgrx});
  pending_.reset();
  return true;
}

void TestPattern::Paint() {
  // Puts the background back where the bar was, then moves the bar.
  for (uint32_t y = 0; y < height_; y++) {
    for (uint32_t x = bar_; x < std::min(width_, bar_ + kBarWidth); x++) {
      pixels_[size_t{y} * width_ + x] = Background(x, y);
    }
  }
  bar_ = static_cast<uint32_t>(uint64_t{number_} * kStep % width_);
  Fill(bar_, 0, kBarWidth, height_, kWhite);
  for (uint32_t bit = 0; bit < kBits; bit++) {
    const bool one = (number_ >> (kBits - 1 - bit) & 1) != 0;
    Fill(bit * kBlock, 0, kBlock, kBlock, one ? kWhite : kBlack);
  }
}

void TestPattern::Fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour) {
  const uint32_t right = std::min(width_, x + width);
  const uint32_t bottom = std::min(height_, y + height);
  for (uint32_t row = y; row < bottom; row++) {
    for (uint32_t column = x; column < right; column++) {
      pixels_[size_t{row} * width_ + column] = colour;
    }
  }
}

uint32_t TestPattern::Background(uint32_t x, uint32_t y) const {
  if (y < height_ / 2) return kBars[uint64_t{x} * std::size(kBars) / width_];
  return static_cast<uint32_t>(uint64_t{x} * 255 / width_) * 0x010101;
}

}  // namespace scanbridge::host
