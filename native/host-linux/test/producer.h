// SPDX-License-Identifier: Apache-2.0
// A producer of surfaces for tests: the real server side of native/surface, with memfds, that does
// what a test says, also what a real producer never would.
#ifndef SCANBRIDGE_HOST_TEST_PRODUCER_H_
#define SCANBRIDGE_HOST_TEST_PRODUCER_H_

#include <drm_fourcc.h>
#include <poll.h>
#include <scanbridge/surface/connection.h>
#include <scanbridge/surface/socket.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/clock.h"

namespace scanbridge::host::test {

/// Pixels in a memfd, written through a mapping.
class SharedPixels {
 public:
  SharedPixels(uint32_t width, uint32_t height, size_t offset = 0)
      : width_(width),
        height_(height),
        offset_(offset),
        size_(offset + size_t{width} * height * 4) {
    fd_.reset(::memfd_create("pixels", MFD_CLOEXEC));
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) throw std::runtime_error("memfd");
    base_ = static_cast<uint8_t*>(
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0));
  }
  ~SharedPixels() { ::munmap(base_, size_); }
  SharedPixels(const SharedPixels&) = delete;

  uint32_t width() const { return width_; }
  uint32_t height() const { return height_; }
  size_t offset() const { return offset_; }
  const UniqueFd& fd() const { return fd_; }

  uint8_t* At(uint32_t x, uint32_t y) { return base_ + offset_ + (size_t{y} * width_ + x) * 4; }
  void Fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour) {
    for (uint32_t row = y; row < y + height; row++) {
      for (uint32_t column = x; column < x + width; column++) {
        std::memcpy(At(column, row), &colour, 4);
      }
    }
  }
  void Fill(uint32_t colour) { Fill(0, 0, width_, height_, colour); }
  void Truncate() { (void)!::ftruncate(fd_.get(), 0); }

 private:
  uint32_t width_;
  uint32_t height_;
  size_t offset_;
  size_t size_;
  UniqueFd fd_;
  uint8_t* base_;
};

class Producer {
 public:
  Producer() {
    std::string name = "/tmp/scanbridge-test-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ + "/s";
    surface::Error error;
    listener_.emplace(std::move(surface::Listener::Open(path_, error).value()));
  }
  ~Producer() {
    listener_.reset();
    ::rmdir(folder_.c_str());
  }

  const std::string& path() const { return path_; }
  surface::Connection& connection() { return *connection_; }
  bool connected() const { return connection_ != nullptr; }

  /// The next client.
  void Accept() {
    pollfd polled{listener_->fd(), POLLIN, 0};
    (void)::poll(&polled, 1, 5000);
    connection_ = std::make_unique<surface::Connection>(listener_->Accept(), SB_FROM_CLIENT);
  }
  void Hang() { connection_.reset(); }

  /// The next message of the client within the time, which must be of this type.
  template <typename T>
  std::optional<T> Expect(sb_msg_type type, int milliseconds = 5000) {
    surface::Message message;
    for (;;) {
      switch (connection_->Receive(message)) {
        case surface::ReceiveStatus::kMessage:
          if (message.header().type != type) return std::nullopt;
          return message.As<T>();
        case surface::ReceiveStatus::kWouldBlock: {
          pollfd polled{connection_->fd(), POLLIN, 0};
          if (::poll(&polled, 1, milliseconds) <= 0) return std::nullopt;
          break;
        }
        default:
          return std::nullopt;
      }
    }
  }

  void Hello(uint32_t scanouts = 1) {
    auto reply = surface::Make<sb_hello_reply>(SB_MSG_HELLO_REPLY);
    reply.magic = SB_SURFACE_MAGIC;
    reply.version_major = SB_SURFACE_VERSION_MAJOR;
    reply.capabilities = SB_CAPABILITY_MEMFD | SB_CAPABILITY_SCANOUT_INFO;
    reply.scanout_count = scanouts;
    reply.max_streams = SB_MAX_STREAMS;
    surface::SetText(reply.name, "test producer");
    connection_->Send(reply);
  }

  /// Accepts, greets, and grants the subscription of a scanout.
  bool Serve() {
    Accept();
    if (!Expect<sb_hello>(SB_MSG_HELLO)) return false;
    Hello();
    const auto subscribe = Expect<sb_subscribe_scanout>(SB_MSG_SUBSCRIBE_SCANOUT);
    if (!subscribe) return false;
    stream_ = subscribe->header.stream;
    connection_->Send(surface::Make<sb_ok>(SB_MSG_OK, 0, subscribe->header.serial));
    State(SB_STREAM_STATE_ACTIVE);
    return true;
  }
  uint32_t stream() const { return stream_; }
  void set_stream(uint32_t stream) { stream_ = stream; }

  void State(sb_stream_state state) {
    auto message = surface::Make<sb_state>(SB_MSG_STATE, stream_);
    message.state = state;
    connection_->Send(message);
  }

  sb_surface Describe(uint32_t id, const SharedPixels& pixels) const {
    auto message = surface::Make<sb_surface>(SB_MSG_SURFACE, stream_);
    message.header.fd_count = 1;
    message.surface = id;
    message.kind = SB_SURFACE_KIND_MEMFD;
    message.width = pixels.width();
    message.height = pixels.height();
    message.format = DRM_FORMAT_XRGB8888;
    message.plane_count = 1;
    message.planes[0].offset = pixels.offset();
    message.planes[0].stride = pixels.width() * 4;
    message.planes[0].size = uint64_t{pixels.width()} * pixels.height() * 4;
    return message;
  }
  void Surface(const sb_surface& message, const UniqueFd& fd) {
    surface::FdList fds;
    fds.push_back(fd.duplicate());
    connection_->Send(message, std::move(fds));
  }
  void Surface(uint32_t id, const SharedPixels& pixels) {
    Surface(Describe(id, pixels), pixels.fd());
  }

  sb_frame DescribeFrame(uint64_t sequence, uint32_t surface, sb_rect crop) const {
    auto message = surface::Make<sb_frame>(SB_MSG_FRAME, stream_);
    message.sequence = sequence;
    message.pts = MonotonicNow();
    message.surface = surface;
    message.crop = crop;
    return message;
  }
  void Frame(sb_frame message, const std::vector<sb_rect>& damage = {}) {
    message.damage_count = static_cast<uint32_t>(damage.size());
    message.header.length += static_cast<uint32_t>(damage.size() * sizeof(sb_rect));
    std::vector<uint8_t> bytes(message.header.length);
    std::memcpy(bytes.data(), &message, sizeof message);
    if (!damage.empty()) {
      std::memcpy(bytes.data() + sizeof message, damage.data(), damage.size() * sizeof(sb_rect));
    }
    connection_->Send(bytes);
  }
  void Frame(uint64_t sequence, uint32_t surface, const SharedPixels& pixels,
             const std::vector<sb_rect>& damage = {}) {
    Frame(DescribeFrame(sequence, surface, {0, 0, pixels.width(), pixels.height()}), damage);
  }

 private:
  std::string folder_;
  std::string path_;
  std::optional<surface::Listener> listener_;
  std::unique_ptr<surface::Connection> connection_;
  uint32_t stream_ = 0;
};

}  // namespace scanbridge::host::test

#endif  // SCANBRIDGE_HOST_TEST_PRODUCER_H_
