// SPDX-License-Identifier: Apache-2.0
// A client of the surface protocol for tests. Subscribes to one capture, maps what it gets, and
// tells of every message as a JSON line on stdout.
//
//   surface-probe SOCKET CAPTURE [--cursor] [--hold] [--no-memfd] [--no-dmabuf]
//
// Commands on stdin, one a line: `release` (of the frame that is held with --hold), `unsubscribe`,
// `quit`.
#include <poll.h>
#include <scanbridge/surface/connection.h>
#include <scanbridge/surface/socket.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace {

using scanbridge::UniqueFd;
using scanbridge::surface::Connection;
using scanbridge::surface::ErrorName;
using scanbridge::surface::Make;
using scanbridge::surface::Message;
using scanbridge::surface::ReceiveStatus;
using scanbridge::surface::Text;

constexpr uint32_t kStream = 7;

/// A mapped surface.
class Mapping {
 public:
  Mapping(const sb_surface& description, const UniqueFd& fd)
      : description_(description),
        size_(description.planes[0].offset + description.planes[0].size) {
    void* memory = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (memory != MAP_FAILED) memory_ = static_cast<const uint8_t*>(memory);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (memory_ != nullptr) ::munmap(const_cast<uint8_t*>(memory_), size_);
  }

  bool mapped() const { return memory_ != nullptr; }
  const sb_surface& description() const { return description_; }

  uint32_t Pixel(uint32_t x, uint32_t y) const {
    uint32_t pixel = 0;
    if (memory_ == nullptr) return pixel;
    std::memcpy(&pixel,
                memory_ + description_.planes[0].offset +
                    uint64_t{y} * description_.planes[0].stride + uint64_t{x} * 4,
                sizeof pixel);
    return pixel;
  }

  /// The number that the fake producer painted: a block of 16 pixels a bit.
  uint32_t PaintedNumber() const {
    uint32_t number = 0;
    if (description_.width < 512 || description_.height < 16) return 0;
    for (uint32_t bit = 0; bit < 32; bit++) {
      if ((Pixel(bit * 16 + 8, 8) & 0xff) > 127) number |= 1u << bit;
    }
    return number;
  }

 private:
  const sb_surface description_;
  const size_t size_;
  const uint8_t* memory_ = nullptr;
};

class Probe {
 public:
  Probe(UniqueFd socket, uint32_t capture, bool cursor, bool hold, uint64_t capabilities)
      : connection_(std::move(socket), SB_FROM_SERVER), hold_(hold) {
    auto hello = Make<sb_hello>(SB_MSG_HELLO, 0, 1);
    hello.magic = SB_SURFACE_MAGIC;
    hello.version_major = SB_SURFACE_VERSION_MAJOR;
    hello.capabilities = capabilities;
    scanbridge::surface::SetText(hello.name, "surface-probe");
    connection_.Send(hello);
    auto subscribe = Make<sb_subscribe_capture>(SB_MSG_SUBSCRIBE_CAPTURE, kStream, 2);
    subscribe.capture = capture;
    subscribe.flags = cursor ? SB_SUBSCRIBE_FLAG_CURSOR : 0;
    connection_.Send(subscribe);
  }

  int Run() {
    while (true) {
      pollfd fds[2] = {{connection_.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
      if (connection_.wants_write()) fds[0].events |= POLLOUT;
      if (::poll(fds, 2, -1) < 0) return 1;
      if ((fds[1].revents & (POLLIN | POLLHUP)) != 0 && !ReadCommands()) return 0;
      if ((fds[0].revents & POLLOUT) != 0) connection_.Flush();
      if ((fds[0].revents & (POLLIN | POLLHUP)) != 0 && !ReceiveAll()) return 0;
    }
  }

 private:
  bool ReadCommands() {
    char bytes[256];
    const ssize_t got = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (got <= 0) return false;
    commands_.append(bytes, static_cast<size_t>(got));
    for (size_t end; (end = commands_.find('\n')) != std::string::npos;
         commands_.erase(0, end + 1)) {
      const std::string_view command(commands_.data(), end);
      if (command == "quit") return false;
      if (command == "release") Release();
      if (command == "unsubscribe")
        connection_.Send(Make<sb_unsubscribe>(SB_MSG_UNSUBSCRIBE, kStream, 3));
    }
    return true;
  }

  bool ReceiveAll() {
    while (true) {
      Message message;
      switch (connection_.Receive(message)) {
        case ReceiveStatus::kMessage:
          Print(message);
          break;
        case ReceiveStatus::kWouldBlock:
          return true;
        case ReceiveStatus::kClosed:
          std::puts("{\"type\":\"closed\"}");
          return false;
        case ReceiveStatus::kFailed:
          std::printf("{\"type\":\"failed\",\"text\":\"%s\"}\n", connection_.error().text.c_str());
          return false;
      }
    }
  }

  void Print(Message& message) {
    switch (message.header().type) {
      case SB_MSG_HELLO_REPLY:
        std::printf("{\"type\":\"hello\",\"capabilities\":%" PRIu64 "}\n",
                    message.As<sb_hello_reply>().capabilities);
        break;
      case SB_MSG_OK:
        std::printf("{\"type\":\"ok\",\"serial\":%u}\n", message.header().serial);
        break;
      case SB_MSG_ERROR: {
        const auto error = message.As<sb_error>();
        std::printf("{\"type\":\"error\",\"code\":\"%s\",\"fatal\":%u}\n", ErrorName(error.code),
                    error.fatal);
        break;
      }
      case SB_MSG_STATE:
        std::printf("{\"type\":\"state\",\"state\":%u}\n", message.As<sb_state>().state);
        break;
      case SB_MSG_RESET:
        surfaces_.clear();
        std::printf("{\"type\":\"reset\",\"reason\":%u}\n", message.As<sb_reset>().reason);
        break;
      case SB_MSG_STREAM_END:
        std::printf("{\"type\":\"stream-end\",\"code\":\"%s\"}\n",
                    ErrorName(message.As<sb_stream_end>().code));
        break;
      case SB_MSG_SURFACE_GONE:
        surfaces_.erase(message.As<sb_surface_gone>().surface);
        std::printf("{\"type\":\"surface-gone\",\"surface\":%u}\n",
                    message.As<sb_surface_gone>().surface);
        break;
      case SB_MSG_SURFACE:
        PrintSurface(message);
        break;
      case SB_MSG_FRAME:
        PrintFrame(message);
        break;
      case SB_MSG_CURSOR: {
        const auto cursor = message.As<sb_cursor>();
        uint32_t pixel = 0;
        if (cursor.pixel_bytes >= 4) std::memcpy(&pixel, message.Tail<sb_cursor>().data(), 4);
        std::printf(
            "{\"type\":\"cursor\",\"visible\":%s,\"shape\":%s,\"x\":%d,\"y\":%d,\"hotX\":%u,"
            "\"hotY\":%u,\"width\":%u,\"height\":%u,\"pixel\":%u}\n",
            (cursor.flags & SB_CURSOR_FLAG_VISIBLE) != 0 ? "true" : "false",
            (cursor.flags & SB_CURSOR_FLAG_SHAPE) != 0 ? "true" : "false", cursor.x, cursor.y,
            cursor.hot_x, cursor.hot_y, cursor.width, cursor.height, pixel);
        break;
      }
      default:
        break;
    }
    std::fflush(stdout);
  }

  void PrintSurface(Message& message) {
    const auto surface = message.As<sb_surface>();
    auto [entry, fresh] = surfaces_.try_emplace(surface.surface, surface, message.fds[0]);
    std::printf(
        "{\"type\":\"surface\",\"surface\":%u,\"kind\":%u,\"width\":%u,\"height\":%u,"
        "\"modifier\":%" PRIu64 ",\"stride\":%u,\"mapped\":%s,\"fresh\":%s}\n",
        surface.surface, surface.kind, surface.width, surface.height, surface.modifier,
        surface.planes[0].stride, entry->second.mapped() ? "true" : "false",
        fresh ? "true" : "false");
  }

  void PrintFrame(const Message& message) {
    const auto frame = message.As<sb_frame>();
    const auto found = surfaces_.find(frame.surface);
    outstanding_ = frame.sequence;
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t ns =
        static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
    std::printf(
        "{\"type\":\"frame\",\"sequence\":%" PRIu64 ",\"pts\":%" PRIu64 ",\"ageUs\":%" PRIu64
        ",\"surface\":%u,\"flags\":%u,\"painted\":%u,\"middle\":%u,\"damage\":[",
        frame.sequence, frame.pts, (ns - frame.pts) / 1000, frame.surface, frame.flags,
        found == surfaces_.end() ? 0 : found->second.PaintedNumber(),
        found == surfaces_.end() ? 0
                                 : found->second.Pixel(frame.crop.x + frame.crop.width / 2,
                                                       frame.crop.y + frame.crop.height / 2));
    const auto tail = message.Tail<sb_frame>();
    for (uint32_t i = 0; i < frame.damage_count; i++) {
      sb_rect rect;
      std::memcpy(&rect, tail.data() + i * sizeof rect, sizeof rect);
      std::printf("%s[%u,%u,%u,%u]", i == 0 ? "" : ",", rect.x, rect.y, rect.width, rect.height);
    }
    std::printf("]}\n");
    if (!hold_) Release();
  }

  void Release() {
    auto release = Make<sb_release>(SB_MSG_RELEASE, kStream);
    release.sequence = outstanding_;
    connection_.Send(release);
  }

  Connection connection_;
  const bool hold_;
  uint64_t outstanding_ = 0;
  std::map<uint32_t, Mapping> surfaces_;
  std::string commands_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs(
        "usage: surface-probe SOCKET CAPTURE [--cursor] [--hold] [--no-memfd] [--no-dmabuf]\n",
        stderr);
    return 2;
  }
  bool cursor = false;
  bool hold = false;
  uint64_t capabilities = SB_CAPABILITY_MEMFD | SB_CAPABILITY_DMABUF;
  for (int i = 3; i < argc; i++) {
    const std::string_view option = argv[i];
    if (option == "--cursor") cursor = true;
    if (option == "--hold") hold = true;
    if (option == "--no-memfd") capabilities &= ~uint64_t{SB_CAPABILITY_MEMFD};
    if (option == "--no-dmabuf") capabilities &= ~uint64_t{SB_CAPABILITY_DMABUF};
  }
  scanbridge::surface::Error error;
  UniqueFd socket = scanbridge::surface::Connect(argv[1], error);
  if (!socket) {
    std::fprintf(stderr, "surface-probe: %s\n", error.text.c_str());
    return 1;
  }
  return Probe(std::move(socket), static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)), cursor,
               hold, capabilities)
      .Run();
}
