// SPDX-License-Identifier: Apache-2.0
#include "engine/video_output.h"

#include <scanbridge/viewer_video.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "core/clock.h"
#include "encode/stream_parameters.h"

namespace scanbridge::host {
namespace {

/// Field of the header: microseconds, at most what fits.
uint32_t Microseconds(uint64_t from, uint64_t to) {
  if (to <= from) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>((to - from) / 1000, UINT32_MAX));
}

EngineError Bad(std::string message) {
  return {"ENCODER_FAILED", "The encoder's stream cannot be shown: " + std::move(message) + ".",
          "Use another engine.", "encoder"};
}

}  // namespace

void VideoOutput::Start(const EnginePath& path, uint32_t width, uint32_t height,
                        uint32_t coded_width, uint32_t coded_height, uint32_t max_fps) {
  const std::lock_guard lock(mutex_);
  in_flight_.clear();
  parameters_.clear();
  codec_ = path.codec;
  max_fps_ = max_fps;
  config_.bt709 = path.bt709;
  config_.width = width;
  config_.height = height;
  config_.coded_width = coded_width;
  config_.coded_height = coded_height;
}

void VideoOutput::Forget() {
  const std::lock_guard lock(mutex_);
  in_flight_.clear();
}

void VideoOutput::Expect(const PictureFacts& facts) {
  const std::lock_guard lock(mutex_);
  in_flight_.push_back(facts);
}

size_t VideoOutput::in_flight(uint64_t* oldest) const {
  const std::lock_guard lock(mutex_);
  if (oldest != nullptr && !in_flight_.empty()) *oldest = in_flight_.front().submitted;
  return in_flight_.size();
}

std::optional<EngineError> VideoOutput::Finish(uint64_t timestamp, bool key,
                                               std::span<const uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  // Pictures before this one were dropped by the encoder.
  while (!in_flight_.empty() && in_flight_.front().timestamp < timestamp) in_flight_.pop_front();
  if (in_flight_.empty() || in_flight_.front().timestamp != timestamp) {
    return Bad("an access unit belongs to no picture");
  }
  const PictureFacts facts = in_flight_.front();
  in_flight_.pop_front();
  if (bytes.empty() || bytes.size() > SBV_MAX_ACCESS_UNIT) {
    return Bad("an access unit has " + std::to_string(bytes.size()) + " bytes");
  }
  if (key) {
    if (auto error = ReadKeyFrame(bytes)) return error;
    if (!rewritten_.empty()) bytes = rewritten_;
  } else if (parameters_.empty()) {
    return Bad("it does not start with a key frame");
  }
  Send(facts, key, bytes);
  return std::nullopt;
}

std::optional<EngineError> VideoOutput::ReadKeyFrame(std::span<const uint8_t> bytes) {
  auto read = ReadParameters(codec_, bytes, max_fps_);
  if (auto* const why = std::get_if<std::string>(&read)) return Bad(std::move(*why));
  const auto& now = std::get<StreamParameters>(read);
  rewritten_.clear();
  if (!now.replacement.empty()) {
    const auto before = bytes.subspan(0, static_cast<size_t>(now.bytes.data() - bytes.data()));
    const auto after = bytes.subspan(before.size() + now.bytes.size());
    rewritten_.assign(before.begin(), before.end());
    rewritten_.insert(rewritten_.end(), now.replacement.begin(), now.replacement.end());
    rewritten_.insert(rewritten_.end(), after.begin(), after.end());
  }
  if (std::equal(now.bytes.begin(), now.bytes.end(), parameters_.begin(), parameters_.end())) {
    return std::nullopt;
  }
  if (now.width != config_.coded_width || now.height != config_.coded_height) {
    return Bad("its size is " + std::to_string(now.width) + "x" + std::to_string(now.height));
  }
  parameters_.assign(now.bytes.begin(), now.bytes.end());
  config_.id = config_.id == UINT16_MAX ? 1 : static_cast<uint16_t>(config_.id + 1);
  config_.codec = now.codec;
  sink_.Push(config_);
  return std::nullopt;
}

void VideoOutput::Send(const PictureFacts& facts, bool key, std::span<const uint8_t> bytes) {
  const uint64_t now = MonotonicNow();
  sbv_video_header header{};
  header.message = SBV_VIDEO_MESSAGE;
  header.flags = static_cast<uint8_t>((key ? SBV_VIDEO_FLAG_KEY : 0) |
                                      (facts.keepalive ? SBV_VIDEO_FLAG_KEEPALIVE : 0));
  header.config = config_.id;
  header.sequence = sequence_++;
  header.pts = facts.pts / 1000;
  header.capture = Microseconds(facts.pts, facts.arrival);
  header.encode = Microseconds(facts.arrival, now);

  VideoEvent video;
  video.size = sizeof header + bytes.size();
  video.message.reset(static_cast<uint8_t*>(std::malloc(video.size)));
  if (!video.message) throw std::bad_alloc();
  std::memcpy(video.message.get(), &header, sizeof header);
  std::memcpy(video.message.get() + sizeof header, bytes.data(), bytes.size());
  sink_.Push(std::move(video));

  counters_.encoded++;
  counters_.key_frames += key ? 1 : 0;
  counters_.keepalives += facts.keepalive ? 1 : 0;
  counters_.bytes += bytes.size();
  encode_.Add((now - facts.submitted) / 1000);
  if (!facts.keepalive) latency_.Add((now - facts.arrival) / 1000);
}

VideoCounters VideoOutput::counters() const {
  const std::lock_guard lock(mutex_);
  VideoCounters counters = counters_;
  counters.encode = encode_.Get();
  counters.latency = latency_.Get();
  return counters;
}

}  // namespace scanbridge::host
