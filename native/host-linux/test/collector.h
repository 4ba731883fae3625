// SPDX-License-Identifier: Apache-2.0
// Collects what an engine says.
#ifndef SCANBRIDGE_HOST_TEST_COLLECTOR_H_
#define SCANBRIDGE_HOST_TEST_COLLECTOR_H_

#include <scanbridge/viewer_video.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/events.h"

namespace scanbridge::host::test {

inline constexpr auto kPatience = std::chrono::seconds(20);

struct Unit {
  sbv_video_header header;
  std::vector<uint8_t> bytes;
  bool key() const { return (header.flags & SBV_VIDEO_FLAG_KEY) != 0; }
  bool keepalive() const { return (header.flags & SBV_VIDEO_FLAG_KEEPALIVE) != 0; }
};

/// Collects events.
class Collector final : public EventSink {
 public:
  void Push(EngineEvent event) override {
    const std::lock_guard lock(mutex_);
    if (auto* const video = std::get_if<VideoEvent>(&event)) {
      Unit unit;
      std::memcpy(&unit.header, video->message.get(), sizeof unit.header);
      unit.bytes.assign(video->message.get() + sizeof unit.header,
                        video->message.get() + video->size);
      units_.push_back(std::move(unit));
    } else if (auto* const config = std::get_if<ConfigEvent>(&event)) {
      configs.push_back(*config);
    } else if (auto* const state = std::get_if<StateEvent>(&event)) {
      states.push_back(*state);
    } else if (auto* const chosen = std::get_if<ChosenEvent>(&event)) {
      chosens.push_back(*chosen);
    } else if (auto* const cursor = std::get_if<CursorEvent>(&event)) {
      cursors.push_back(*cursor);
    } else if (auto* const end = std::get_if<EndEvent>(&event)) {
      ends.push_back(*end);
    }
    changed_.notify_all();
  }
  bool WantsVideo() const override { return wants_video; }
  bool Full() const override { return false; }

  /// The next access unit that was not taken; nothing when none comes in time.
  std::optional<Unit> Next(std::chrono::milliseconds patience = kPatience) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [&] { return taken_ < units_.size(); })) {
      return std::nullopt;
    }
    return units_[taken_++];
  }
  template <typename Condition>
  bool Await(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, condition);
  }
  size_t count() {
    const std::lock_guard lock(mutex_);
    return units_.size();
  }

  std::atomic<bool> wants_video = true;
  std::vector<ConfigEvent> configs;
  std::vector<StateEvent> states;
  std::vector<ChosenEvent> chosens;
  std::vector<CursorEvent> cursors;
  std::vector<EndEvent> ends;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Unit> units_;
  size_t taken_ = 0;
};

}  // namespace scanbridge::host::test

#endif  // SCANBRIDGE_HOST_TEST_COLLECTOR_H_
