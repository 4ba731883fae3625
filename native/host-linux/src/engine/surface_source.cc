// SPDX-License-Identifier: Apache-2.0
#include "engine/surface_source.h"

#include <algorithm>

namespace scanbridge::host {
namespace {

/// The tiles of a crop that damage touches; damage is in pixels of the surface.
TileSet Candidates(const SurfaceFrame& frame) {
  const sb_rect& crop = frame.crop;
  TileSet tiles(crop.width, crop.height);
  if (frame.damage_count == 0) tiles.AddAll();
  for (uint32_t i = 0; i < frame.damage_count; i++) {
    const sb_rect& damage = frame.damage[i];
    const uint32_t left = std::max(damage.x, crop.x);
    const uint32_t top = std::max(damage.y, crop.y);
    const uint32_t right = std::min(damage.x + damage.width, crop.x + crop.width);
    const uint32_t bottom = std::min(damage.y + damage.height, crop.y + crop.height);
    if (left < right && top < bottom) {
      tiles.Add(sb_rect{left - crop.x, top - crop.y, right - left, bottom - top});
    }
  }
  return tiles;
}

}  // namespace

std::optional<EngineError> SurfaceSource::Open() {
  auto connected = SurfaceClient::Connect(target_.socket, "scanbridge engine",
                                          SurfaceMemory::Unmappable::kAccept);
  if (auto* const error = std::get_if<EngineError>(&connected)) return std::move(*error);
  client_ = std::get<std::unique_ptr<SurfaceClient>>(std::move(connected));
  return std::nullopt;
}

std::optional<FrameSource::End> SurfaceSource::Dispatch(SourceObserver& observer) {
  observer_ = &observer;
  auto error = client_->Dispatch(*this);
  observer_ = nullptr;
  if (error && !end_) end_ = End{std::move(error)};
  return end_;
}

bool SurfaceSource::Take(const std::function<void(const PixelView&)>& read) {
  const bool whole = frame_.memory->Read(frame_.crop, read);
  client_->Release(frame_.stream, frame_.sequence);
  frame_.memory.reset();
  pending_.reset();
  return whole;
}

std::shared_ptr<const DmaBuf> SurfaceSource::dmabuf() const {
  if (!pending_ || !frame_.memory || frame_.memory->inverted()) return nullptr;
  const auto& shared = frame_.memory->dmabuf();
  const sb_rect& crop = frame_.crop;
  // Encoders take whole surfaces of an even size.
  const bool whole = shared && crop.width == shared->width && crop.height == shared->height &&
                     crop.width % 2 == 0 && crop.height % 2 == 0;
  return whole ? shared : nullptr;
}

std::optional<EngineError> SurfaceSource::unreadable() const {
  if (pending_ && frame_.memory) return frame_.memory->unreadable();
  return last_ ? last_->unreadable() : std::nullopt;
}

void SurfaceSource::Borrow() {
  borrowed_ = {frame_.stream, frame_.sequence};
  last_ = std::move(frame_.memory);
  last_crop_ = frame_.crop;
  pending_.reset();
}

void SurfaceSource::Return() {
  if (borrowed_) client_->Release(borrowed_->first, borrowed_->second);
  borrowed_.reset();
}

bool SurfaceSource::ReadLast(const std::function<void(const PixelView&)>& read) {
  return last_ && last_->Read(last_crop_, read);
}

void SurfaceSource::OnHello(const sb_hello_reply&) {
  std::optional<SurfaceClient::Request> request;
  if (const auto* const scanout = std::get_if<ScanoutTarget>(&target_.what)) {
    request = client_->SubscribeScanout(scanout->scanout, target_.cursor);
  } else if (const auto* const capture = std::get_if<CaptureTarget>(&target_.what)) {
    request = client_->SubscribeCapture(capture->capture, target_.cursor);
  }
  // The first request of a connection is never one too many.
}

void SurfaceSource::OnAnswer(const SurfaceAnswer& answer) {
  if (answer.error) end_ = End{answer.error};
}

void SurfaceSource::OnFrame(const SurfaceFrame& frame) {
  // Another part of the surface, or a picture that is not related to the last one: damage does not
  // tell all.
  const bool all =
      frame.discontinuity || frame.crop.x != frame_.crop.x || frame.crop.y != frame_.crop.y;
  frame_ = frame;
  PendingFrame& pending = pending_.emplace();
  pending.width = frame.crop.width;
  pending.height = frame.crop.height;
  pending.order = frame.memory->order();
  pending.candidates = Candidates(frame);
  if (all) pending.candidates.AddAll();
  pending.pts = frame.pts;
  pending.arrival = frame.received_at;
  pending.replaced = last_sequence_ == 0 ? 0 : frame.sequence - last_sequence_ - 1;
  last_sequence_ = frame.sequence;
}

void SurfaceSource::OnCursor(uint32_t, const sb_cursor& cursor, std::span<const uint8_t> pixels) {
  observer_->OnSourceCursor(MakeCursor(cursor, pixels));
}

void SurfaceSource::OnReset(uint32_t, sb_reset_reason reason) {
  pending_.reset();
  frame_.memory.reset();
  last_.reset();
  observer_->OnSourceReset(reason);
}

void SurfaceSource::OnState(uint32_t, sb_stream_state state) {
  switch (state) {
    case SB_STREAM_STATE_ACTIVE:
      // Live with the first picture.
      break;
    case SB_STREAM_STATE_BLANK:
      observer_->OnSourceState(EngineState::kBlank);
      break;
    case SB_STREAM_STATE_WAITING:
      observer_->OnSourceState(EngineState::kWaiting);
      break;
  }
}

void SurfaceSource::OnStreamEnd(uint32_t, const std::optional<EngineError>& error) {
  end_ = End{error};
}

}  // namespace scanbridge::host
