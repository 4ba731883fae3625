// SPDX-License-Identifier: Apache-2.0
// Pictures of one stream of a producer of surfaces.
#ifndef SCANBRIDGE_HOST_ENGINE_SURFACE_SOURCE_H_
#define SCANBRIDGE_HOST_ENGINE_SURFACE_SOURCE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "engine/frame_source.h"
#include "surface/surface_client.h"

namespace scanbridge::host {

struct ScanoutTarget {
  uint32_t scanout = 0;
};
struct CaptureTarget {
  uint32_t capture = 0;
};

struct SurfaceTarget {
  std::string socket;
  std::variant<ScanoutTarget, CaptureTarget> what;
  bool cursor = false;
};

class SurfaceSource final : public FrameSource, private SurfaceObserver {
 public:
  explicit SurfaceSource(SurfaceTarget target) : target_(std::move(target)) {}

  std::optional<EngineError> Open() override;
  int fd() const override { return client_->fd(); }
  bool wants_write() const override { return client_->wants_write(); }
  bool has_buffered() const override { return client_->has_buffered(); }
  std::optional<End> Dispatch(SourceObserver& observer) override;
  const PendingFrame* pending() const override { return pending_ ? &*pending_ : nullptr; }
  bool Take(const std::function<void(const PixelView&)>& read) override;
  std::shared_ptr<const DmaBuf> dmabuf() const override;
  void Borrow() override;
  void Return() override;
  bool ReadLast(const std::function<void(const PixelView&)>& read) override;
  std::optional<EngineError> unreadable() const override;

 private:
  void OnHello(const sb_hello_reply& hello) override;
  void OnAnswer(const SurfaceAnswer& answer) override;
  void OnFrame(const SurfaceFrame& frame) override;
  void OnCursor(uint32_t stream, const sb_cursor& cursor, std::span<const uint8_t> pixels) override;
  void OnReset(uint32_t stream, sb_reset_reason reason) override;
  void OnState(uint32_t stream, sb_stream_state state) override;
  void OnStreamEnd(uint32_t stream, const std::optional<EngineError>& error) override;

  const SurfaceTarget target_;
  std::unique_ptr<SurfaceClient> client_;
  /// During Dispatch.
  SourceObserver* observer_ = nullptr;
  std::optional<PendingFrame> pending_;
  SurfaceFrame frame_;
  /// Of the frame that was borrowed last.
  std::shared_ptr<SurfaceMemory> last_;
  sb_rect last_crop_{};
  /// Stream and sequence of the frame that is lent to an encoder.
  std::optional<std::pair<uint32_t, uint64_t>> borrowed_;
  uint64_t last_sequence_ = 0;
  std::optional<End> end_;
};

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENGINE_SURFACE_SOURCE_H_
