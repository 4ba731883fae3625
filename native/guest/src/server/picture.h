// SPDX-License-Identifier: Apache-2.0
// Surfaces, and the pictures in them, between a capture and the streams that show it.
#ifndef SCANBRIDGE_GUEST_SERVER_PICTURE_H_
#define SCANBRIDGE_GUEST_SERVER_PICTURE_H_

#include <scanbridge/surface.h>
#include <scanbridge/surface/message.h>
#include <scanbridge/surface/unique_fd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace scanbridge::guest {

/// Memory that holds pictures, as a SURFACE message tells it. Owns its descriptors.
struct Surface {
  /// Everything but the header. `description.surface` is unique within the source.
  sb_surface description{};
  surface::FdList fds;
  /// virtio-gpu resource of the memory; 0 when it has none or nobody asked.
  uint32_t resource = 0;
};

/// One picture that its producer may not touch until it is given back. Shared by the source, which
/// keeps the newest one, and the streams whose clients read it; the last of them gives it back.
class Picture {
 public:
  struct Content {
    std::shared_ptr<const Surface> surface;
    /// Counts the source's pictures.
    uint64_t sequence = 0;
    /// CLOCK_MONOTONIC [ns].
    uint64_t pts = 0;
    /// The picture within the surface [pixels].
    sb_rect crop{};
    /// Timeline points of explicit sync, or 0.
    uint64_t acquire_point = 0;
    uint64_t release_point = 0;
  };

  /// `give_back(was_read)` is called once; `was_read`: a client signalled the release point.
  Picture(Content content, std::function<void(bool was_read)> give_back)
      : content_(std::move(content)), give_back_(std::move(give_back)) {}
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;
  ~Picture() { GiveBack(); }

  const Content& content() const { return content_; }

  /// A client has released it, so its release point is signalled.
  void MarkRead() { was_read_ = true; }

  /// Returns the memory to the producer now, whoever still reads it.
  void GiveBack() {
    if (auto give_back = std::exchange(give_back_, nullptr)) give_back(was_read_);
  }

  /// The memory is gone: there is nothing to return.
  void Forget() { give_back_ = nullptr; }

  bool held() const { return give_back_ != nullptr; }

 private:
  Content content_;
  std::function<void(bool)> give_back_;
  bool was_read_ = false;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SERVER_PICTURE_H_
