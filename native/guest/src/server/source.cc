// SPDX-License-Identifier: Apache-2.0
#include "server/source.h"

#include <algorithm>
#include <utility>

#include "server/subscriber.h"

namespace scanbridge::guest {

template <typename Call>
void Source::ForEachStream(Call call) {
  // A stream whose client cannot take what it is given ends, and with that leaves the list.
  for (size_t i = 0; i < streams_.size();) {
    Subscriber* stream = streams_[i];
    call(*stream);
    if (i < streams_.size() && streams_[i] == stream) i++;
  }
}

Source::~Source() {
  if (!ended_) End(SB_SURFACE_ERROR_NONE, "The capture was closed.");
}

void Source::Present(std::shared_ptr<Picture> picture, const Damage& damage) {
  counters_.pictures++;
  if (newest_ && !newest_sent_) counters_.replaced++;
  // Streams hold what their clients read; with the last reference the older picture goes back.
  newest_ = std::move(picture);
  newest_sent_ = false;
  if (state_ != SB_STREAM_STATE_ACTIVE) SetState(SB_STREAM_STATE_ACTIVE);
  ForEachStream([&](Subscriber& stream) { stream.OnPicture(damage); });
}

void Source::NoteSkipped() {
  counters_.pictures++;
  counters_.replaced++;
}

void Source::CursorChanged() {
  ForEachStream([&](Subscriber& stream) { stream.OnCursor(); });
}

void Source::SetState(sb_stream_state state) {
  if (state == state_) return;
  state_ = state;
  ForEachStream([&](Subscriber& stream) { stream.OnState(); });
}

void Source::Reset(sb_reset_reason reason) {
  if (newest_) newest_->Forget();
  newest_.reset();
  ForEachStream([&](Subscriber& stream) { stream.OnReset(reason); });
}

void Source::DropSurface(uint32_t surface) {
  ForEachStream([&](Subscriber& stream) { stream.OnSurfaceGone(surface); });
  if (newest_ && newest_->content().surface->description.surface == surface) {
    newest_->Forget();
    newest_.reset();
  }
}

void Source::End(sb_surface_error code, const std::string& text) {
  if (std::exchange(ended_, true)) return;
  newest_.reset();
  // A stream detaches itself while it ends.
  for (Subscriber* stream : std::vector<Subscriber*>(streams_)) stream->OnEnd(code, text);
  streams_.clear();
}

bool Source::ReclaimOldest() {
  Picture* oldest = nullptr;
  for (const Subscriber* stream : streams_) {
    Picture* picture = stream->outstanding();
    if (picture == nullptr || picture == newest_.get() || !picture->held()) continue;
    if (oldest == nullptr || picture->content().sequence < oldest->content().sequence) {
      oldest = picture;
    }
  }
  if (oldest == nullptr) return false;
  oldest->GiveBack();
  counters_.reclaimed++;
  return true;
}

void Source::Attach(Subscriber& stream) {
  streams_.push_back(&stream);
}

void Source::Detach(Subscriber& stream) {
  std::erase(streams_, &stream);
}

void Source::NoteSent() {
  newest_sent_ = true;
  counters_.frames++;
}

}  // namespace scanbridge::guest
