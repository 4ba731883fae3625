// SPDX-License-Identifier: Apache-2.0
#include "drm/resource_stream.h"

#include <drm_fourcc.h>

#include <algorithm>
#include <utility>

namespace scanbridge::guest {
namespace {

constexpr uint32_t kBytesPerPixel = 4;
/// Of this stream's own image; surfaces of sources count from 1.
constexpr uint32_t kOwnSurface = 0;

/// One rectangle around all damage within `crop`, relative to it; none when that is everything.
std::optional<sb_rect> Bounding(const Damage& damage, const sb_rect& crop) {
  if (damage.all()) return std::nullopt;
  uint32_t left = crop.width, top = crop.height, right = 0, bottom = 0;
  for (const sb_rect& rect : damage.rects()) {
    const sb_rect part = Intersect(rect, crop);
    if (part.width == 0) continue;
    left = std::min(left, part.x - crop.x);
    top = std::min(top, part.y - crop.y);
    right = std::max(right, part.x - crop.x + part.width);
    bottom = std::max(bottom, part.y - crop.y + part.height);
  }
  // A picture in which nothing changed still replaces the one before; the least is one pixel.
  if (right == 0) return sb_rect{0, 0, 1, 1};
  if (left == 0 && top == 0 && right == crop.width && bottom == crop.height) return std::nullopt;
  return sb_rect{left, top, right - left, bottom - top};
}

}  // namespace

ResourceStream::ResourceStream(Loop& loop, Source& source, std::shared_ptr<VirtioGpu> gpu,
                               Events events)
    : loop_(loop),
      source_(source),
      events_(std::move(events)),
      timeline_(gpu->path()),
      fence_(loop, [this](bool in_time) { OnFence(in_time); }),
      late_(loop, [this] { OnLate(); }),
      // A device that does not render has no pixels but those which the guest's processor has
      // drawn.
      backing_(!gpu->features().rendering),
      upload_(std::move(gpu)) {
  source_.Attach(*this);
}

ResourceStream::~ResourceStream() {
  if (!ended_) source_.Detach(*this);
}

void ResourceStream::Start() {
  Stop();
  if (ended_) return;
  started_ = true;
  if (source_.state() != SB_STREAM_STATE_ACTIVE) events_.waiting();
  pending_ = source_.newest() != nullptr;
  TrySend();
}

void ResourceStream::Stop() {
  started_ = false;
  fence_.Cancel();
  late_.Stop();
  stage_ = Stage::kIdle;
  picture_.reset();
  announced_.clear();
  damage_.AddAll();
}

void ResourceStream::Release(uint64_t sequence) {
  if (stage_ != Stage::kSent || frame_.sequence != sequence) return;
  late_.Stop();
  stage_ = Stage::kIdle;
  picture_.reset();
  TrySend();
}

void ResourceStream::OnPicture(const Damage& damage) {
  damage_.Add(damage);
  pending_ = true;
  TrySend();
}

void ResourceStream::OnState() {
  if (started_ && source_.state() != SB_STREAM_STATE_ACTIVE) events_.waiting();
}

void ResourceStream::OnReset(sb_reset_reason) {
  if (picture_) picture_->Forget();
  pending_ = false;
  damage_.AddAll();
  const bool keeps = stage_ == Stage::kSent && surface_ == kOwnSurface;
  if (!keeps) {
    fence_.Cancel();
    late_.Stop();
    stage_ = Stage::kIdle;
  }
  picture_.reset();
  std::vector<uint32_t> gone;
  for (const Announced& entry : announced_) {
    if (entry.surface != kOwnSurface) gone.push_back(entry.geometry.resource);
  }
  for (const uint32_t resource : gone) Forget(resource);
}

void ResourceStream::OnSurfaceGone(uint32_t surface) {
  if (picture_ && picture_->content().surface->description.surface == surface) {
    // Whoever owns the memory takes it back by itself.
    picture_->Forget();
    if (stage_ != Stage::kSent) GiveUp();
  }
  if (pending_ && source_.newest() &&
      source_.newest()->content().surface->description.surface == surface) {
    pending_ = false;
  }
  const auto entry = std::ranges::find(announced_, surface, &Announced::surface);
  if (surface != kOwnSurface && entry != announced_.end()) Forget(entry->geometry.resource);
}

void ResourceStream::OnEnd(sb_surface_error, const std::string&) {
  Stop();
  ended_ = true;
}

void ResourceStream::TrySend() {
  if (!started_ || !pending_ || stage_ != Stage::kIdle || !source_.newest()) return;
  picture_ = source_.newest();
  pending_ = false;
  taken_ = std::exchange(damage_, Damage());
  const Picture::Content& content = picture_->content();
  const Surface& surface = *content.surface;
  stage_ = Stage::kDrawing;
  bool complete = true;
  if ((surface.description.flags & SB_SURFACE_FLAG_EXPLICIT_SYNC) != 0) {
    const int syncobj = surface.fds[surface.fds.size() - 2].get();
    complete = fence_.Ready(timeline_, syncobj, content.acquire_point, kFenceLimit);
  } else if (surface.description.kind == SB_SURFACE_KIND_DMABUF) {
    const int dmabuf = surface.fds[surface.description.planes[0].fd_index].get();
    complete = fence_.Ready(dmabuf, kFenceLimit);
  }
  if (complete) OnComplete();
}

void ResourceStream::OnFence(bool in_time) {
  if (!in_time) {
    counters_.stuck++;
    return GiveUp();
  }
  if (stage_ == Stage::kDrawing) return OnComplete();
  Send();
}

void ResourceStream::OnComplete() {
  // The compositor was short of buffers and has it back.
  if (!picture_->held()) return GiveUp();
  const Picture::Content& content = picture_->content();
  const sb_surface& surface = content.surface->description;
  frame_.sequence = content.sequence;
  last_pts_ = std::max(last_pts_, content.pts);
  frame_.pts = last_pts_;
  frame_.damage = Bounding(taken_, content.crop);
  if (surface.kind == SB_SURFACE_KIND_DMABUF) {
    surface_ = surface.surface;
    geometry_ = {
        content.surface->resource, content.crop.width, content.crop.height,
        surface.planes[0].stride,
        surface.planes[0].offset + uint64_t{content.crop.y} * surface.planes[0].stride +
            uint64_t{content.crop.x} * kBytesPerPixel,
        surface.format,
        // Who does not say how memory is tiled, does not tile it: virtio-gpu has no layout of its
        // own.
        surface.modifier == DRM_FORMAT_MOD_INVALID ? DRM_FORMAT_MOD_LINEAR : surface.modifier,
        backing_};
    return Send();
  }
  if (!CopyPicture()) return;
  stage_ = Stage::kCopying;
  if (backing_ || fence_.Ready(upload_.image()->fence_fd(), kFenceLimit)) Send();
}

bool ResourceStream::CopyPicture() {
  const std::shared_ptr<Picture> picture = std::exchange(picture_, nullptr);
  const Surface& surface = *picture->content().surface;
  const sb_rect& crop = picture->content().crop;
  try {
    if (upload_.NeedsImage(surface.description, crop)) {
      if (upload_.image() != nullptr) Forget(upload_.image()->resource());
      upload_.MakeImage(surface.description, crop);
      taken_.AddAll();
      frame_.damage.reset();
    }
    const uint64_t copied = upload_.Copy(surface, crop, taken_);
    counters_.copied += copied;
    if (copied == 0 && (taken_.all() || !taken_.empty())) {
      // Its memory became smaller while it was read.
      GiveUp();
      return false;
    }
  } catch (const DrmError& error) {
    Stop();
    upload_.DropImage();
    events_.error(error);
    return false;
  }
  const GuestImage& image = *upload_.image();
  surface_ = kOwnSurface;
  geometry_ = {image.resource(),
               image.width(),
               image.height(),
               image.stride(),
               0,
               surface.description.format,
               0,
               backing_};
  return true;
}

void ResourceStream::Send() {
  Announce(surface_, geometry_);
  frame_.resource = geometry_.resource;
  stage_ = Stage::kSent;
  late_.Start(kReleaseLimit);
  counters_.frames++;
  source_.NoteSent();
  events_.frame(frame_);
}

void ResourceStream::Announce(uint32_t surface, const ResourceGeometry& geometry) {
  auto entry = std::ranges::find(announced_, surface, &Announced::surface);
  if (entry != announced_.end() && entry->geometry == geometry) return;
  if (entry == announced_.end()) {
    announced_.push_back({surface, geometry});
  } else {
    entry->geometry = geometry;
  }
  // A resource that is announced again, or cropped in another way, is all new.
  frame_.damage.reset();
  events_.geometry(geometry);
}

void ResourceStream::Forget(uint32_t resource) {
  if (std::erase_if(announced_, [resource](const Announced& entry) {
        return entry.geometry.resource == resource;
      }) == 0) {
    return;
  }
  events_.gone(resource);
  // The host counts it as released.
  if (stage_ == Stage::kSent && frame_.resource == resource) {
    late_.Stop();
    stage_ = Stage::kIdle;
    picture_.reset();
  }
}

void ResourceStream::GiveUp() {
  fence_.Cancel();
  stage_ = Stage::kIdle;
  picture_.reset();
  damage_.Add(taken_);
  TrySend();
}

void ResourceStream::OnLate() {
  counters_.late++;
  // The newest picture stays with the source, for whoever comes next.
  picture_.reset();
}

}  // namespace scanbridge::guest
