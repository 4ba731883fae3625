// SPDX-License-Identifier: Apache-2.0
// Turns access units into messages of the viewer protocol.
#ifndef SCANBRIDGE_HOST_ENGINE_VIDEO_OUTPUT_H_
#define SCANBRIDGE_HOST_ENGINE_VIDEO_OUTPUT_H_

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/engine_error.h"
#include "core/percentiles.h"
#include "encode/engine_table.h"
#include "engine/events.h"

namespace scanbridge::host {

/// What is known of a picture when it goes into the encoder; times in ns of MonotonicNow().
struct PictureFacts {
  /// As the encoder sees it, to find the picture again.
  uint64_t timestamp = 0;
  uint64_t pts = 0;
  uint64_t arrival = 0;
  uint64_t submitted = 0;
  bool keepalive = false;
};

struct VideoCounters {
  uint64_t encoded = 0;
  uint64_t key_frames = 0;
  uint64_t keepalives = 0;
  uint64_t bytes = 0;
  PercentileSet encode;
  PercentileSet latency;
};

/// Between the engine's thread, which says what goes in, and the encoder's, which brings what comes
/// out. All functions may be called on any thread.
class VideoOutput {
 public:
  explicit VideoOutput(EventSink& sink) : sink_(sink) {}

  /// A new encoder starts: visible and coded size of its pictures, and their rate at most. Forgets
  /// what was in flight.
  void Start(const EnginePath& path, uint32_t width, uint32_t height, uint32_t coded_width,
             uint32_t coded_height, uint32_t max_fps);

  /// The encoder is gone, and what was in flight with it.
  void Forget();

  void Expect(const PictureFacts& facts);

  /// Pictures that went in and did not come out; `oldest` is when the first of them went in.
  size_t in_flight(uint64_t* oldest = nullptr) const;

  /// Passes an access unit on, with a config before it where that changed. An error: the access
  /// unit must not reach a viewer, and the encoder is of no use.
  std::optional<EngineError> Finish(uint64_t timestamp, bool key, std::span<const uint8_t> bytes);

  VideoCounters counters() const;

 private:
  std::optional<EngineError> ReadKeyFrame(std::span<const uint8_t> bytes);
  void Send(const PictureFacts& facts, bool key, std::span<const uint8_t> bytes);

  EventSink& sink_;
  mutable std::mutex mutex_;
  std::deque<PictureFacts> in_flight_;
  ConfigEvent config_;
  Codec codec_ = Codec::kH264;
  uint32_t max_fps_ = 0;
  /// Of the last key frame, as it left the encoder; empty: there was none.
  std::vector<uint8_t> parameters_;
  /// A key frame whose parameter set was replaced.
  std::vector<uint8_t> rewritten_;
  uint32_t sequence_ = 0;
  VideoCounters counters_;
  Percentiles encode_;
  Percentiles latency_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_VIDEO_OUTPUT_H_
