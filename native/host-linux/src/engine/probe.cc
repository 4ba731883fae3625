// SPDX-License-Identifier: Apache-2.0
#include "engine/probe.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "core/clock.h"
#include "core/i420_picture.h"
#include "encode/encoder.h"
#include "engine/video_output.h"

namespace scanbridge::host {
namespace {

constexpr uint32_t kWidth = 640;
constexpr uint32_t kHeight = 360;
constexpr uint32_t kFps = 60;
constexpr int kPictures = 8;
constexpr auto kPatience = std::chrono::seconds(3);

/// Waits for each access unit.
class Attempt final : private EncoderObserver, private EventSink {
 public:
  std::optional<EngineError> Run(const EnginePath& path, PathReport& report) {
    output_.Start(path, kWidth, kHeight, kWidth, kHeight, kFps);
    auto created = Encoder::Create(path, {kWidth, kHeight}, {2000, kFps, {}}, *this);
    if (auto* const error = std::get_if<EngineError>(&created)) return std::move(*error);
    const auto encoder = std::get<std::unique_ptr<Encoder>>(std::move(created));
    if (auto error = encoder->Adopt()) return error;
    uint64_t spent = 0;
    for (int i = 0; i < kPictures; i++) {
      std::vector<uint8_t> pixels(size_t{kWidth} * kHeight * kBytesPerPixel,
                                  static_cast<uint8_t>(40 + 20 * i));
      auto picture = std::make_shared<I420Picture>(kWidth, kHeight);
      picture->Refresh({pixels.data(), static_cast<ptrdiff_t>(kWidth * kBytesPerPixel), kWidth,
                        kHeight, PixelOrder::kBgrx});
      const uint64_t timestamp = static_cast<uint64_t>(i) * 1'000'000'000 / kFps;
      const uint64_t start = MonotonicNow();
      output_.Expect({timestamp, start, start, start, false});
      encoder->Submit(std::move(picture), timestamp, false);
      if (auto error = Await(i + 1)) return error;
      spent += MonotonicNow() - start;
    }
    report.codec = codec_;
    report.milliseconds_per_frame = static_cast<double>(spent) / kPictures / 1e6;
    return std::nullopt;
  }

 private:
  std::optional<EngineError> Await(int count) {
    std::unique_lock lock(mutex_);
    const bool done = changed_.wait_for(lock, kPatience, [&] { return error_ || got_ >= count; });
    if (error_) return error_;
    if (!done) {
      return EngineError{"ENCODER_STALLED", "The encoder took a picture and gave nothing back.",
                         "Use another engine."};
    }
    return std::nullopt;
  }

  void OnAccessUnit(uint64_t timestamp, bool key, std::span<const uint8_t> bytes) override {
    if (auto error = output_.Finish(timestamp, key, bytes)) {
      OnEncoderError(std::move(*error));
      return;
    }
    const std::lock_guard lock(mutex_);
    got_++;
    changed_.notify_all();
  }
  void OnPictureFree() override {}
  void OnEncoderError(EngineError error) override {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    changed_.notify_all();
  }

  void Push(EngineEvent event) override {
    if (const auto* const config = std::get_if<ConfigEvent>(&event)) codec_ = config->codec;
  }
  bool WantsVideo() const override { return true; }
  bool Full() const override { return false; }

  VideoOutput output_{*this};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<EngineError> error_;
  int got_ = 0;
  std::string codec_;
};

}  // namespace

PathReport ProbePath(const EnginePath& path) {
  InitGStreamer();
  PathReport report;
  report.path = &path;
  for (const ElementNeed& need : path.needs) {
    if (!HasElement(ForGpu(need.factory, {}).c_str())) report.install.push_back(need.package);
  }
  if (path.input == PathInput::kDmaBuf) {
    report.error = FindMissing(path, {});
    report.untried = !report.error;
    return report;
  }
  Attempt attempt;
  report.error = attempt.Run(path, report);
  return report;
}

}  // namespace scanbridge::host
