// SPDX-License-Identifier: Apache-2.0
#include "server/stream.h"

#include <scanbridge/surface/message.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "server/client.h"
#include "server/source.h"

namespace scanbridge::guest {

using surface::Make;

Stream::Stream(Client& client, Source& source, uint32_t id, uint32_t flags)
    : client_(client),
      source_(source),
      id_(id),
      wants_cursor_((flags & SB_SUBSCRIBE_FLAG_CURSOR) != 0) {
  source_.Attach(*this);
}

Stream::~Stream() {
  source_.Detach(*this);
}

void Stream::Begin() {
  OnState();
  cursor_pending_ = wants_cursor_ && source_.cursor().shape_serial != 0;
  if (source_.newest()) {
    damage_.AddAll();
    pending_ = true;
  }
  TrySend();
}

Stream::ReleaseResult Stream::Release(uint64_t sequence) {
  if (outstanding_ && outstanding_->content().sequence == sequence) {
    outstanding_->MarkRead();
    outstanding_.reset();
    TrySend();
    return ReleaseResult::kDone;
  }
  const uint64_t known = std::min<uint64_t>(sent_count_, sent_.size());
  const bool forgotten = sent_count_ > sent_.size() && sequence < *std::ranges::min_element(sent_);
  if (forgotten || std::find(sent_.begin(), sent_.begin() + static_cast<ptrdiff_t>(known),
                             sequence) != sent_.begin() + static_cast<ptrdiff_t>(known)) {
    return ReleaseResult::kIgnored;
  }
  return ReleaseResult::kNeverSent;
}

void Stream::OnWritable() {
  TrySend();
}

void Stream::OnPicture(const Damage& damage) {
  damage_.Add(damage);
  pending_ = true;
  TrySend();
}

void Stream::OnCursor() {
  if (!wants_cursor_) return;
  cursor_pending_ = true;
  TrySendCursor();
}

void Stream::OnState() {
  auto message = Make<sb_state>(SB_MSG_STATE, id_);
  message.state = source_.state();
  client_.Send(message);
}

void Stream::OnReset(sb_reset_reason reason) {
  if (outstanding_) outstanding_->Forget();
  outstanding_.reset();
  pending_ = false;
  damage_.Clear();
  damage_.AddAll();
  discontinuity_ = true;
  announced_.clear();
  auto message = Make<sb_reset>(SB_MSG_RESET, id_);
  message.reason = reason;
  client_.Send(message);
}

void Stream::OnSurfaceGone(uint32_t surface) {
  if (outstanding_ && outstanding_->content().surface->description.surface == surface) {
    // The client reads on through its own descriptor; its RELEASE only ends the frame.
    outstanding_->Forget();
  }
  if (pending_ && source_.newest() &&
      source_.newest()->content().surface->description.surface == surface) {
    pending_ = false;
  }
  if (std::erase(announced_, surface) == 0) return;
  auto message = Make<sb_surface_gone>(SB_MSG_SURFACE_GONE, id_);
  message.surface = surface;
  client_.Send(message);
}

void Stream::OnEnd(sb_surface_error code, const std::string& text) {
  outstanding_.reset();
  auto message = Make<sb_stream_end>(SB_MSG_STREAM_END, id_);
  message.code = code;
  surface::SetText(message.text, text);
  client_.Send(message);
  client_.RemoveStream(id_);
}

void Stream::TrySend() {
  TrySendCursor();
  if (!pending_ || outstanding_ || !source_.newest() || client_.congested()) return;
  const Surface& surface = *source_.newest()->content().surface;
  const uint32_t id = surface.description.surface;
  if (std::find(announced_.begin(), announced_.end(), id) == announced_.end()) {
    if (!SendSurface(surface)) return;
    announced_.push_back(id);
  }
  SendFrame();
}

bool Stream::SendSurface(const Surface& surface) {
  const uint64_t needed = surface.description.kind == SB_SURFACE_KIND_DMABUF ? SB_CAPABILITY_DMABUF
                                                                             : SB_CAPABILITY_MEMFD;
  sb_surface message = surface.description;
  message.header = Make<sb_surface>(SB_MSG_SURFACE, id_).header;
  const size_t count = surface.fds.size();
  if ((message.flags & SB_SURFACE_FLAG_EXPLICIT_SYNC) != 0 &&
      !client_.Shares(SB_CAPABILITY_EXPLICIT_SYNC)) {
    // Reading without waiting for the acquire point would show an unfinished picture.
    OnEnd(SB_SURFACE_ERROR_UNSUPPORTED,
          "The compositor draws with explicit sync, which this client does not understand.");
    return false;
  }
  if (!client_.Shares(needed)) {
    OnEnd(SB_SURFACE_ERROR_UNSUPPORTED,
          needed == SB_CAPABILITY_DMABUF
              ? "The capture delivers dma-bufs, which this client does not take."
              : "The capture delivers shared memory, which this client does not take.");
    return false;
  }
  surface::FdList fds;
  for (size_t i = 0; i < count; i++) {
    UniqueFd fd = surface.fds[i].duplicate();
    if (!fd) {
      OnEnd(SB_SURFACE_ERROR_NO_MEMORY,
            "The capturing process has no descriptor left for this surface; raise its limit.");
      return false;
    }
    fds.push_back(std::move(fd));
  }
  message.header.fd_count = static_cast<uint8_t>(count);
  return client_.Send(message, std::move(fds));
}

void Stream::SendFrame() {
  const Picture::Content& content = source_.newest()->content();
  std::array<uint8_t, sizeof(sb_frame) + SB_MAX_DAMAGE * sizeof(sb_rect)> bytes;
  auto message = Make<sb_frame>(SB_MSG_FRAME, id_);
  message.sequence = content.sequence;
  last_pts_ = std::max(last_pts_, content.pts);
  message.pts = last_pts_;
  message.surface = content.surface->description.surface;
  message.flags = discontinuity_ ? uint32_t{SB_FRAME_FLAG_DISCONTINUITY} : 0u;
  message.crop = content.crop;
  message.acquire_point = content.acquire_point;
  message.release_point = content.release_point;
  const bool moved = std::memcmp(&content.crop, &last_crop_, sizeof last_crop_) != 0;
  const auto rects = moved ? std::span<const sb_rect>() : damage_.rects();
  size_t count = 0;
  for (const sb_rect& rect : rects) {
    const sb_rect inside = Intersect(rect, content.crop);
    if (inside.width == 0) continue;
    std::memcpy(bytes.data() + sizeof message + count * sizeof inside, &inside, sizeof inside);
    count++;
  }
  message.damage_count = static_cast<uint32_t>(count);
  message.header.length = static_cast<uint32_t>(sizeof message + count * sizeof(sb_rect));
  std::memcpy(bytes.data(), &message, sizeof message);
  if (!client_.SendBytes({bytes.data(), message.header.length})) return;
  outstanding_ = source_.newest();
  source_.NoteSent();
  sent_[sent_count_++ % sent_.size()] = content.sequence;
  last_crop_ = content.crop;
  pending_ = false;
  discontinuity_ = false;
  damage_.Clear();
}

void Stream::TrySendCursor() {
  if (!cursor_pending_ || client_.congested()) return;
  const Cursor& cursor = std::as_const(source_).cursor();
  auto message = Make<sb_cursor>(SB_MSG_CURSOR, id_);
  message.flags = cursor.visible ? uint32_t{SB_CURSOR_FLAG_VISIBLE} : 0u;
  message.x = cursor.x;
  message.y = cursor.y;
  std::vector<uint8_t> bytes(sizeof message);
  if (cursor.shape_serial != cursor_shape_sent_) {
    message.flags |= SB_CURSOR_FLAG_SHAPE;
    message.hot_x = cursor.hot_x;
    message.hot_y = cursor.hot_y;
    message.width = cursor.width;
    message.height = cursor.height;
    message.pixel_bytes = static_cast<uint32_t>(cursor.pixels.size());
    bytes.insert(bytes.end(), cursor.pixels.begin(), cursor.pixels.end());
  }
  message.header.length = static_cast<uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &message, sizeof message);
  if (!client_.SendBytes(bytes)) return;
  cursor_shape_sent_ = cursor.shape_serial;
  cursor_pending_ = false;
}

}  // namespace scanbridge::guest
