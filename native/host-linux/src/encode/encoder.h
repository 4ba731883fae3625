// SPDX-License-Identifier: Apache-2.0
// One GStreamer pipeline: pictures in, access units out.
#ifndef SCANBRIDGE_HOST_ENCODE_ENCODER_H_
#define SCANBRIDGE_HOST_ENCODE_ENCODER_H_

#include <gst/gst.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "core/engine_error.h"
#include "core/i420_picture.h"
#include "encode/engine_table.h"

namespace scanbridge::host {

/// Loads GStreamer. The first call in a process may take long, where GStreamer has to look at its
/// plug-ins.
void InitGStreamer();

/// Whether an element is installed.
bool HasElement(const char* factory);

/// What is missing of a path; nothing when all its elements are installed.
std::optional<EngineError> FindMissing(const EnginePath& path);

/// Called on GStreamer's threads; must not block, and must not destroy the encoder.
class EncoderObserver {
 public:
  virtual ~EncoderObserver() = default;
  /// `timestamp` is that of the picture. The bytes live until the call returns.
  virtual void OnAccessUnit(uint64_t timestamp, bool key, std::span<const uint8_t> bytes) = 0;
  /// A picture has been returned.
  virtual void OnPictureFree() = 0;
  /// Nothing comes after it.
  virtual void OnEncoderError(EngineError error) = 0;
};

/// Encodes pictures of one size with one path. The owner submits from one thread.
class Encoder {
 public:
  /// Builds and starts the pipeline. `observer` outlives the encoder.
  static std::variant<std::unique_ptr<Encoder>, EngineError> Create(const EnginePath& path,
                                                                    uint32_t coded_width,
                                                                    uint32_t coded_height,
                                                                    const EncoderSettings& settings,
                                                                    EncoderObserver& observer);
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  /// Waits until GStreamer's threads have left the observer.
  ~Encoder();

  /// Encodes a picture without a copy of it; it is lent until the encoder has read it. `timestamp`
  /// grows with every call [ns].
  void Submit(std::shared_ptr<I420Picture> picture, uint64_t timestamp, bool key);

  /// Changes the target while running.
  void SetBitrate(uint32_t kbps);

 private:
  struct Lease;

  Encoder(const EnginePath& path, EncoderObserver& observer) : path_(path), observer_(observer) {}
  std::optional<EngineError> Start(uint32_t coded_width, uint32_t coded_height,
                                   const EncoderSettings& settings);
  void TakeSample(GstElement* sink);
  void Fail(EngineError error);
  static GstBusSyncReply OnMessage(GstBus* bus, GstMessage* message, gpointer self);

  const EnginePath& path_;
  EncoderObserver& observer_;
  GstElement* pipeline_ = nullptr;
  GstElement* source_ = nullptr;
  GstElement* sink_ = nullptr;
  GstElement* encoder_ = nullptr;
  /// GStreamer's times start at 0, because x264enc moves the first of them to its shift. Set before
  /// the first picture goes in, so the streaming thread may read it.
  std::optional<uint64_t> first_timestamp_;
  std::mutex mutex_;
  bool failed_ = false;
  /// Errors until the end of Create are its result, and not the observer's.
  bool starting_ = true;
  std::optional<EngineError> start_error_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_ENCODER_H_
