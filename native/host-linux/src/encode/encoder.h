// SPDX-License-Identifier: Apache-2.0
// One GStreamer pipeline: pictures in, access units out.
#ifndef SCANBRIDGE_HOST_ENCODE_ENCODER_H_
#define SCANBRIDGE_HOST_ENCODE_ENCODER_H_

#include <gst/gst.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "core/engine_error.h"
#include "core/i420_picture.h"
#include "encode/engine_table.h"
#include "surface/dmabuf.h"

namespace scanbridge::host {

/// Loads GStreamer. The first call in a process may take long, where GStreamer has to look at its
/// plug-ins.
void InitGStreamer();

/// Whether an element is installed.
bool HasElement(const char* factory);

/// What the pictures of an encoder are.
struct EncoderInput {
  /// Coded size [pixels].
  uint32_t width = 0;
  uint32_t height = 0;
  /// DRM fourcc and modifier, for paths that take dma-bufs.
  uint32_t format = 0;
  uint64_t modifier = 0;
};

/// What is missing of a path; nothing when all its elements are installed.
std::optional<EngineError> FindMissing(const EnginePath& path, const GpuChoice& gpu);

/// Called on GStreamer's threads, and not after Silence; must not block, and must not destroy the
/// encoder.
class EncoderObserver {
 public:
  virtual ~EncoderObserver() = default;
  /// `timestamp` is that of the picture. The bytes live until the call returns.
  virtual void OnAccessUnit(uint64_t timestamp, bool key, std::span<const uint8_t> bytes) = 0;
  /// A picture has been returned.
  virtual void OnPictureFree() = 0;
  /// The processor has copied a whole picture on its way to the encoder.
  virtual void OnPictureCopied() {}
  /// Nothing comes after it.
  virtual void OnEncoderError(EngineError error) = 0;
};

/// Encodes pictures of one size with one path. The owner submits from one thread.
class Encoder {
 public:
  /// Builds and starts the pipeline. `observer` outlives the encoder, which tells it nothing until
  /// Adopt. May take as long as a driver wants to.
  static std::variant<std::unique_ptr<Encoder>, EngineError> Create(const EnginePath& path,
                                                                    const EncoderInput& input,
                                                                    const EncoderSettings& settings,
                                                                    EncoderObserver& observer);
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  /// Waits until GStreamer's threads have left the observer; with a driver that hangs, for ever.
  ~Encoder();

  /// The observer is told from now on. An error: what went wrong so far.
  std::optional<EngineError> Adopt();

  /// Nothing is told to the observer once this returns. Does not wait for the driver.
  void Silence();

  /// Encodes a picture without a copy of it; it is lent until the encoder has read it. `timestamp`
  /// grows with every call [ns].
  void Submit(std::shared_ptr<I420Picture> picture, uint64_t timestamp, bool key);

  /// The same for a surface that the path reads itself. Any number of pictures may be of one
  /// surface.
  void Submit(std::shared_ptr<const DmaBuf> surface, uint64_t timestamp, bool key);

  /// Changes the target while running.
  void SetBitrate(uint32_t kbps);

 private:
  struct Lease;
  struct Shared;
  static constexpr size_t kMaxSurfaces = 64;

  Encoder(const EnginePath& path, EncoderObserver& observer) : path_(path), observer_(observer) {}
  std::optional<EngineError> Start(const EncoderInput& input, const EncoderSettings& settings);
  std::optional<EngineError> Fits(GstCaps* caps, const EncoderSettings& settings) const;
  void ForceKey();
  void Push(GstBuffer* buffer, uint64_t timestamp);
  GstMemory* MemoryOf(const std::shared_ptr<const DmaBuf>& surface);
  void TakeSample(GstElement* sink);
  static GstPadProbeReturn CountCopy(GstPad* pad, GstPadProbeInfo* info, gpointer self);
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
  EncoderInput input_;
  GstAllocator* dmabuf_allocator_ = nullptr;
  /// One memory a surface, so that elements import each surface once. At most kMaxSurfaces.
  std::map<std::shared_ptr<const DmaBuf>, GstMemory*> memories_;
  /// Held while the observer is called.
  std::mutex observer_mutex_;
  bool silent_ = false;
  std::mutex mutex_;
  bool failed_ = false;
  /// Errors until Adopt are its result, and not the observer's.
  bool starting_ = true;
  std::optional<EngineError> start_error_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_ENCODER_H_
