// SPDX-License-Identifier: Apache-2.0
#include "lease/uevents.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <string_view>

#include "lease/system_error.h"

namespace scanbridge::guest {
namespace {

constexpr size_t kMaxEvents = 64;
/// UEVENT_BUFFER_SIZE of the kernel is 2 KiB, the header before it a path.
constexpr size_t kMaxEvent = 8192;
/// The multicast group of the kernel; group 2 is udev's.
constexpr uint32_t kKernelGroup = 1;

Uevent Parse(std::string_view text) {
  Uevent event;
  // "ACTION@PATH\0KEY=value\0..."
  size_t at = text.find('\0');
  while (at != std::string_view::npos && ++at < text.size()) {
    const size_t end = text.find('\0', at);
    const std::string_view field = text.substr(at, end == std::string_view::npos ? end : end - at);
    const size_t sign = field.find('=');
    if (sign != std::string_view::npos) {
      event.emplace(field.substr(0, sign), field.substr(sign + 1));
    }
    at = end;
  }
  return event;
}

}  // namespace

UniqueFd OpenUevents() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  if (!fd) ThrowErrno("cannot hear of hotplugs");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kKernelGroup;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ThrowErrno("cannot hear of hotplugs");
  }
  return fd;
}

std::vector<Uevent> ReadUevents(int fd) {
  std::vector<Uevent> events;
  std::array<char, kMaxEvent> buffer;
  while (events.size() < kMaxEvents) {
    sockaddr_nl sender{};
    socklen_t size = sizeof sender;
    const ssize_t length =
        recvfrom(fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&sender), &size);
    if (length < 0) {
      if (errno == EAGAIN) break;
      if (errno == EINTR) continue;
      if (errno != ENOBUFS) ThrowErrno("cannot read hotplug events");
      events.emplace_back();
      continue;
    }
    if (sender.nl_pid != 0) continue;
    Uevent event = Parse({buffer.data(), static_cast<size_t>(length)});
    if (!event.empty()) events.push_back(std::move(event));
  }
  return events;
}

}  // namespace scanbridge::guest
