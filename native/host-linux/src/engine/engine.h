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
#include "engine/grave.h"
#include "engine/path_plan.h"
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
  Codec codec = Codec::kH264;
  PathMode mode = PathMode::kAuto;
  GpuChoice gpu;
  /// Paths that failed in a former process, with the reasons.
  std::vector<TriedPath> avoid;
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
  /// Pictures that the processor copied to other memory, in whole pictures.
  double copies = 0;
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
  /// Time that a path has to give a picture back, or to start [ns]: software has only load to wait
  /// for, while a GPU that hangs is left before a viewer notices. Its very first start loads the
  /// driver.
  static constexpr uint64_t kSoftwareLimit = 5'000'000'000;
  static constexpr uint64_t kFirstStartLimit = 2'000'000'000;
  static constexpr uint64_t kHardwareLimit = 700'000'000;

  void Run();
  std::optional<EndEvent> Loop();
  void Wait();
  std::optional<EngineError> Step(uint64_t now);
  bool Ready() const;
  std::optional<EngineError> TakePicture(uint64_t now);
  std::optional<EngineError> CopyPicture(const PendingFrame& frame, bool restart, size_t& changed);
  std::optional<EngineError> CopyLastPicture();
  std::optional<EngineError> EncodeAgain(uint64_t now);
  std::optional<EngineError> Encode(uint64_t now, PictureFacts facts);
  std::optional<EngineError> StartEncoder();
  std::optional<EngineError> HandleEncoderError(EngineError error);
  std::variant<std::unique_ptr<Encoder>, EngineError> CreateEncoder(const EnginePath& path);
  void Bury(std::unique_ptr<Encoder> encoder);
  uint64_t Limit() const;
  bool HasPicture() const { return shadow_ || surface_; }
  std::shared_ptr<I420Picture> FreePicture() const;
  uint64_t KeepaliveAt() const;
  void SetState(EngineState state);
  void ForgetPicture();

  void OnSourceState(EngineState state) override;
  void OnSourceReset(sb_reset_reason reason) override;
  void OnSourceCursor(CursorEvent cursor) override;

  void OnAccessUnit(uint64_t timestamp, bool key, std::span<const uint8_t> bytes) override;
  void OnPictureFree() override;
  void OnPictureCopied() override;
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
  /// The last picture, of a path that takes dma-bufs. Encoding it again shows what it holds by
  /// then: on a still desktop the same, else something that the next picture replaces.
  std::shared_ptr<const DmaBuf> surface_;
  /// A frame of the source is lent to the encoder.
  bool borrowed_ = false;
  struct Shape {
    uint32_t width = 0;
    uint32_t height = 0;
    PixelOrder order = PixelOrder::kBgrx;
    /// 0: not a dma-buf.
    uint32_t format = 0;
    uint64_t modifier = 0;
    bool operator==(const Shape&) const = default;
  };
  std::optional<Shape> shape_;
  PathPlan plan_;
  const EnginePath* path_ = nullptr;
  bool shown_ = false;
  uint32_t applied_bitrate_ = 0;
  uint64_t started_ = 0;
  uint64_t last_timestamp_ = 0;
  uint64_t last_submitted_ = 0;

  VideoOutput output_;
  /// Written before an encoder starts, read on its threads.
  ChosenEvent chosen_;
  /// The present encoder has given a picture back.
  std::atomic<bool> proven_ = false;
  std::atomic<bool> surface_lent_ = false;
  std::mutex error_mutex_;
  std::optional<EngineError> encoder_error_;

  mutable std::mutex stats_mutex_;
  EngineStats stats_;
  Percentiles convert_;

  // Last but the thread: its threads use what is above.
  std::unique_ptr<Encoder> encoder_;
  /// Encoders that failed, and those that have not started in time.
  std::vector<Grave> graves_;
  std::thread thread_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_ENGINE_H_
