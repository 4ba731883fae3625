// SPDX-License-Identifier: Apache-2.0
#include "engine/resource_source.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"

namespace scanbridge::host {
namespace {

/// A REFRESH without an answer is sent again: the exporter does not heed one that crosses a moment
/// without a picture [ns].
constexpr uint64_t kAskAgain = 250'000'000;

constexpr sb_rect kEverything{0, 0, SB_MAX_DIMENSION, SB_MAX_DIMENSION};

/// Grows `area` so that it holds `added`, too; an added area of nothing stands for everything.
void Unite(std::optional<sb_rect>& area, const std::optional<sb_rect>& added) {
  const sb_rect more = added.value_or(kEverything);
  if (!area) {
    area = more;
    return;
  }
  const uint32_t right = std::max(area->x + area->width, more.x + more.width);
  const uint32_t bottom = std::max(area->y + area->height, more.y + more.height);
  area->x = std::min(area->x, more.x);
  area->y = std::min(area->y, more.y);
  area->width = right - area->x;
  area->height = bottom - area->y;
}

/// The part of `area` that lies in a picture; empty when none does.
std::optional<sb_rect> Clip(const sb_rect& area, uint32_t width, uint32_t height) {
  if (area.x >= width || area.y >= height) return std::nullopt;
  return sb_rect{area.x, area.y, std::min(area.width, width - area.x),
                 std::min(area.height, height - area.y)};
}

/// Whether `serial` is `other` or one given later; serials wrap.
bool NotBefore(uint32_t serial, uint32_t other) {
  return static_cast<int32_t>(serial - other) >= 0;
}

bool SameRequest(const sb_subscribe_resource& a, const sb_subscribe_resource& b) {
  return a.resource == b.resource && a.width == b.width && a.height == b.height &&
         a.format == b.format && a.stride == b.stride && a.offset == b.offset &&
         a.modifier == b.modifier;
}

}  // namespace

std::optional<EngineError> ResourceSource::Open() {
  auto connected = SurfaceClient::Connect(target_.socket, "scanbridge engine");
  if (auto* const error = std::get_if<EngineError>(&connected)) return std::move(*error);
  client_ = std::get<std::unique_ptr<SurfaceClient>>(std::move(connected));
  return std::nullopt;
}

uint64_t ResourceSource::wake_at() const {
  return wanted_ && wanted_->serial != 0 ? wanted_->asked_at + kAskAgain : kNever;
}

std::optional<FrameSource::End> ResourceSource::Dispatch(SourceObserver&) {
  auto error = client_->Dispatch(*this);
  if (error && !end_) end_ = End{std::move(error)};
  if (!end_ && greeted_) {
    TakeChanges();
    Subscribe();
    AskForWanted();
  }
  return end_;
}

void ResourceSource::TakeChanges() {
  auto change = feed_.Take();
  if (!change) return;
  for (auto mine = resources_.begin(); mine != resources_.end();) {
    const auto next = std::next(mine);
    const auto found = change->resources.find(mine->first);
    if (found == change->resources.end()) {
      Forget(mine);
    } else if (found->second.version != mine->second.version) {
      // Said again as it was: nothing to do, unless it was refused, which may be different now.
      if (mine->second.refused ||
          !SameRequest(found->second.layout.request, mine->second.layout.request)) {
        Forget(mine);
      } else {
        mine->second.layout = found->second.layout;
        mine->second.version = found->second.version;
      }
    }
    mine = next;
  }
  for (const auto& [id, wished] : change->resources) {
    resources_.try_emplace(id,
                           Resource{wished.layout, wished.version, 0, false, false, kEverything});
  }
  if (!change->frame) return;
  const ShownFrame& frame = *change->frame;
  Unite(changed_, frame.damage);
  for (auto& [id, resource] : resources_) Unite(resource.stale, frame.damage);
  if (wanted_) {
    Release(wanted_->frame.token);
    replaced_++;
  }
  wanted_ = Wanted{frame, 0, 0};
}

void ResourceSource::Subscribe() {
  for (auto& [id, resource] : resources_) {
    if (resource.stream != 0 || resource.refused) continue;
    // Without a free stream or request it is tried again when an answer has come.
    if (const auto request = client_->SubscribeResource(resource.layout.request, false)) {
      resource.stream = request->stream;
    }
  }
}

void ResourceSource::AskForWanted() {
  if (!wanted_) return;
  const uint64_t now = MonotonicNow();
  const bool again = wanted_->serial != 0;
  if (again && now < wanted_->asked_at + kAskAgain) return;
  const auto found = resources_.find(wanted_->frame.resource);
  if (found == resources_.end() || found->second.refused) {
    Release(wanted_->frame.token);
    wanted_.reset();
    return;
  }
  Resource& resource = found->second;
  if (!client_->IsOpen(resource.stream) || !resource.present) return;
  // Nobody knows what became of the damage of a REFRESH that was not answered.
  if (again) resource.stale = kEverything;
  const sb_subscribe_resource& layout = resource.layout.request;
  const auto damage =
      resource.stale ? Clip(*resource.stale, layout.width, layout.height) : std::nullopt;
  wanted_->serial = client_->Refresh(resource.stream,
                                     resource.layout.backing ? SB_REFRESH_FLAG_BACKING : 0, damage);
  wanted_->asked_at = now;
  resource.stale.reset();
}

void ResourceSource::Forget(std::map<uint32_t, Resource>::iterator resource) {
  DropFramesOf(resource->first);
  if (resource->second.stream != 0) (void)client_->Unsubscribe(resource->second.stream);
  resources_.erase(resource);
}

/// Frames of the resource are not read any more.
void ResourceSource::DropFramesOf(uint32_t id) {
  if (wanted_ && wanted_->frame.resource == id) {
    Release(wanted_->frame.token);
    wanted_.reset();
  }
  if (pending_ && shown_.resource == id) {
    client_->Release(frame_.stream, frame_.sequence);
    frame_.memory.reset();
    pending_.reset();
    Release(shown_.token);
  }
}

void ResourceSource::Release(uint32_t token) {
  sink_.Push(ReleasedEvent{token});
}

std::map<uint32_t, ResourceSource::Resource>::iterator ResourceSource::OfStream(uint32_t stream) {
  return std::find_if(resources_.begin(), resources_.end(),
                      [stream](const auto& entry) { return entry.second.stream == stream; });
}

bool ResourceSource::Take(const std::function<void(const PixelView&)>& read) {
  const bool whole = frame_.memory->Read(frame_.crop, read);
  client_->Release(frame_.stream, frame_.sequence);
  frame_.memory.reset();
  pending_.reset();
  changed_.reset();
  // A frame that came meanwhile has said what it changed.
  if (wanted_) changed_ = wanted_->frame.damage.value_or(kEverything);
  Release(shown_.token);
  return whole;
}

void ResourceSource::OnHello(const sb_hello_reply& hello) {
  constexpr uint64_t kNeeded = SB_CAPABILITY_RESOURCES | SB_CAPABILITY_REFRESH;
  if ((hello.capabilities & kNeeded) != kNeeded) {
    end_ = End{EngineError{"SURFACE_UNSUPPORTED",
                           "The producer of surfaces does not serve resources by their ids.",
                           "Use a QEMU with the frame-export of this release."}};
    return;
  }
  greeted_ = true;
}

void ResourceSource::OnAnswer(const SurfaceAnswer& answer) {
  if (answer.error && answer.request == SB_MSG_SUBSCRIBE_RESOURCE) {
    Refuse(answer.stream, *answer.error);
  }
}

void ResourceSource::Refuse(uint32_t stream, const EngineError& error) {
  const auto found = OfStream(stream);
  if (found == resources_.end()) return;
  DropFramesOf(found->first);
  found->second.stream = 0;
  found->second.refused = true;
  found->second.present = false;
  sink_.Push(RefusedEvent{found->first, error});
}

void ResourceSource::OnFrame(const SurfaceFrame& frame) {
  const auto found = OfStream(frame.stream);
  if (found != resources_.end()) found->second.present = true;
  const bool asked = found != resources_.end() && wanted_ && wanted_->serial != 0 &&
                     wanted_->frame.resource == found->first && frame.refresh != 0 &&
                     NotBefore(frame.refresh, wanted_->serial);
  if (!asked) {
    client_->Release(frame.stream, frame.sequence);
    return;
  }
  if (pending_) {
    client_->Release(frame_.stream, frame_.sequence);
    Release(shown_.token);
    replaced_++;
  }
  frame_ = frame;
  shown_ = wanted_->frame;
  wanted_.reset();
  PendingFrame& pending = pending_.emplace();
  pending.width = frame.crop.width;
  pending.height = frame.crop.height;
  pending.order = frame.memory->order();
  pending.candidates = TileSet(pending.width, pending.height);
  // Damage is a guest's word in pixels of the resource; a part outside of it means nothing.
  const auto damage =
      changed_ ? Clip(*changed_, pending.width, pending.height) : std::optional<sb_rect>();
  if (damage && damage->width > 0 && damage->height > 0) {
    pending.candidates.Add(*damage);
  } else {
    pending.candidates.AddAll();
  }
  last_pts_ = std::max(last_pts_, shown_.pts);
  pending.pts = last_pts_;
  pending.arrival = frame.received_at;
  pending.replaced = std::exchange(replaced_, 0);
}

void ResourceSource::OnReset(uint32_t stream, sb_reset_reason) {
  const auto found = OfStream(stream);
  if (found == resources_.end()) return;
  found->second.stale = kEverything;
  found->second.present = false;
  if (wanted_ && wanted_->frame.resource == found->first) wanted_->serial = 0;
  if (pending_ && shown_.resource == found->first) {
    frame_.memory.reset();
    pending_.reset();
    Release(shown_.token);
  }
}

void ResourceSource::OnState(uint32_t stream, sb_stream_state state) {
  const auto found = OfStream(stream);
  if (found == resources_.end() || state == SB_STREAM_STATE_ACTIVE) return;
  found->second.present = false;
  if (wanted_ && wanted_->frame.resource == found->first) wanted_->serial = 0;
}

void ResourceSource::OnStreamEnd(uint32_t stream, const std::optional<EngineError>& error) {
  Refuse(stream,
         error.value_or(EngineError{"SURFACE_NO_SUCH_RESOURCE", "The guest has freed the resource.",
                                    "Ask the guest's agent for the present one."}));
}

}  // namespace scanbridge::host
