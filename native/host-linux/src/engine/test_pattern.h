// SPDX-License-Identifier: Apache-2.0
// A moving picture that needs no producer.
#ifndef SCANBRIDGE_HOST_ENGINE_TEST_PATTERN_H_
#define SCANBRIDGE_HOST_ENGINE_TEST_PATTERN_H_

#include <cstdint>
#include <vector>

#include "engine/frame_source.h"

namespace scanbridge::host {

/// Colour bars over a grey ramp, a bar that moves, and in the upper left corner the number of the
/// picture as 32 blocks of 8x8 pixels, most significant bit first, white for 1: a decoder can tell
/// which picture it has.
class TestPattern final : public FrameSource {
 public:
  TestPattern(uint32_t width, uint32_t height, uint32_t fps);

  std::optional<EngineError> Open() override;
  uint64_t wake_at() const override { return next_; }
  std::optional<End> Dispatch(SourceObserver& observer) override;
  const PendingFrame* pending() const override { return pending_ ? &*pending_ : nullptr; }
  bool Take(const std::function<void(const PixelView&)>& read) override;

 private:
  void Paint();
  void Fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour);
  uint32_t Background(uint32_t x, uint32_t y) const;

  const uint32_t width_;
  const uint32_t height_;
  const uint64_t interval_;
  std::vector<uint32_t> pixels_;
  uint64_t next_ = 0;
  uint32_t number_ = 0;
  uint32_t bar_ = 0;
  std::optional<PendingFrame> pending_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_TEST_PATTERN_H_
