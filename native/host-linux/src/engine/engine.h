// SPDX-License-Identifier: Apache-2.0
// One encoded stream: takes pictures from a source, encodes them, hands out messages.
//
// One thread polls the source, compares, converts and submits; the encoder's own threads bring
// access units to the sink. Queues: one picture waits at the source (newer ones replace it there),
// one is in the encoder, and the sink says when it wants no more. So a picture is dropped before it
// is encoded, never after.
#ifndef SCANBRIDGE_HOST_ENGINE_ENGINE_H_
#define SCANBRIDGE_HOST_ENGINE_ENGINE_H_

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "core/i420_picture.h"
#include "core/percentiles.h"
#include "core/rate_limit.h"
#include "core/shadow.h"
#include "core/waker.h"
#include "encode/encoder.h"
#include "engine/events.h"
#include "engine/frame_source.h"
#include "engine/resource_feed.h"
#include "engine/resource_source.h"
#include "engine/surface_source.h"
#include "engine/video_output.h"

namespace scanbridge::host {

struct TestPatternTarget {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t fps = 0;
};

/// See EngineOptions in lib/engine.ts.
struct EngineOptions {
  std::variant<SurfaceTarget, ResourceTarget, TestPatternTarget> source;
  /// Of the engine table, or "auto".
  std::string engine;
  uint32_t bitrate_kbps = 0;
  uint32_t max_fps = 0;
  /// 0: never.
  uint32_t keepalive_ms = 0;
};

/// See EngineStats in lib/engine.ts.
struct EngineStats {
  uint64_t frames_in = 0;
  uint64_t dropped_before_encode = 0;
  uint64_t skipped_unchanged = 0;
  uint64_t tiles_compared = 0;
  uint64_t tiles_changed = 0;
  uint32_t bitrate_kbps = 0;
  PercentileSet convert;
  VideoCounters video;
};

class Engine final : private SourceObserver, private EncoderObserver {
 public:
  /// Starts at once. `sink` outlives the engine; its last event is EndEvent, unless the engine is
  /// destroyed first.
  Engine(EngineOptions options, EventSink& sink);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  /// Stops; waits for a picture that is being encoded.
  ~Engine() override;

  /// Of any thread.
  void RequestKeyFrame();
  void SetBitrate(uint32_t kbps);
  /// For a source of resources. False: there are SB_MAX_STREAMS of them.
  bool AddResource(const ResourceLayout& layout);
  void RemoveResource(uint32_t id);
  void ShowFrame(const ShownFrame& frame);
  EngineStats stats() const;
  /// The sink wants video again.
  void Wake() { waker_.Wake(); }

 private:
  static constexpr uint64_t kStallLimit = 5'000'000'000;

  void Run();
  std::optional<EndEvent> Loop();
  void Wait();
  std::optional<EngineError> Step(uint64_t now);
  bool Ready() const;
  std::optional<EngineError> TakePicture(uint64_t now);
  std::optional<EngineError> EncodeAgain(uint64_t now);
  std::optional<EngineError> Encode(uint64_t now, PictureFacts facts);
  std::optional<EngineError> StartEncoder();
  std::optional<EngineError> HandleEncoderError(EngineError error);
  std::optional<EngineError> TryNextPath(EngineError error);
  std::shared_ptr<I420Picture> FreePicture() const;
  uint64_t KeepaliveAt() const;
  void SetState(EngineState state);

  void OnSourceState(EngineState state) override;
  void OnSourceReset(sb_reset_reason reason) override;
  void OnSourceCursor(CursorEvent cursor) override;

  void OnAccessUnit(uint64_t timestamp, bool key, std::span<const uint8_t> bytes) override;
  void OnPictureFree() override;
  void OnEncoderError(EngineError error) override;

  const EngineOptions options_;
  EventSink& sink_;
  Waker waker_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> key_wanted_ = false;
  std::atomic<uint32_t> bitrate_kbps_;
  ResourceFeed feed_;

  // Of the engine's thread.
  std::unique_ptr<FrameSource> source_;
  RateLimit rate_;
  EngineState state_ = EngineState::kStarting;
  std::optional<Shadow> shadow_;
  std::array<std::shared_ptr<I420Picture>, 2> pictures_;
  std::vector<const EnginePath*> paths_;
  size_t path_ = 0;
  uint32_t applied_bitrate_ = 0;
  uint64_t started_ = 0;
  uint64_t last_timestamp_ = 0;
  uint64_t last_submitted_ = 0;

  VideoOutput output_;
  /// Written before an encoder starts, read on its threads.
  std::vector<TriedPath> tried_;
  std::atomic<bool> chosen_ = false;
  std::mutex error_mutex_;
  std::optional<EngineError> encoder_error_;

  mutable std::mutex stats_mutex_;
  EngineStats stats_;
  Percentiles convert_;

  // Last but the thread: its threads use what is above.
  std::unique_ptr<Encoder> encoder_;
  std::thread thread_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_ENGINE_H_
