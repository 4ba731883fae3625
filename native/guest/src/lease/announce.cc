// SPDX-License-Identifier: Apache-2.0
// scanbridge-announce PID KEY=VALUE...: tells the compositor in a container that a device has
// changed, as udev would.
//
// udev's messages stay in the network namespace of the machine, and a compositor in a container has
// another one; where the container has a user namespace as well, libudev there would not believe a
// sender whose user is not mapped into it. So this program enters both namespaces of process PID,
// becomes their root, and sends the message there, to the group of those who listen to udev. It is
// a program of its own because a process with threads cannot enter a user namespace.
//
// Exit status: 0 sent, or PID is in no namespace of its own and hears udev itself; 1 failed, with
// the reason on standard error; 2 wrong arguments.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "lease/system_error.h"
#include "scanbridge/surface/unique_fd.h"

namespace scanbridge::guest {
namespace {

/// The multicast group of udev's listeners; group 1 is the kernel's.
constexpr uint32_t kUdevGroup = 2;
/// A message that libudev takes is at most 8 KiB.
constexpr size_t kMaxProperties = 4096;

/// What stands before the properties of a message: libudev's, of its wire version 2. Numbers that
/// are compared by socket filters are big-endian.
struct Header {
  char prefix[8] = {'l', 'i', 'b', 'u', 'd', 'e', 'v', '\0'};
  uint32_t magic = htonl(0xfeedcafe);
  uint32_t header_size = sizeof(Header);
  uint32_t properties_offset = sizeof(Header);
  uint32_t properties_size = 0;
  uint32_t subsystem_hash = 0;
  uint32_t devtype_hash = 0;
  uint32_t tag_bloom_high = 0;
  uint32_t tag_bloom_low = 0;
};
static_assert(sizeof(Header) == 40);

/// MurmurHash2 with seed 0, by which listeners filter without reading.
uint32_t Hash(std::string_view text) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  auto byte = [&](size_t at) {
    return static_cast<uint32_t>(static_cast<unsigned char>(text[at]));
  };
  uint32_t hash = static_cast<uint32_t>(text.size());
  size_t at = 0;
  for (; text.size() - at >= 4; at += 4) {
    uint32_t word = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash = (hash * kMultiplier) ^ word;
  }
  if (at < text.size()) {
    for (size_t left = text.size() - at; left > 0; left--)
      hash ^= byte(at + left - 1) << (8 * (left - 1));
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ (hash >> 15);
}

UniqueFd OpenNamespace(const std::string& process, const char* kind) {
  const std::string path = "/proc/" + process + "/ns/" + kind;
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) ThrowErrno(path);
  return fd;
}

bool IsSame(const UniqueFd& one, const UniqueFd& other) {
  struct stat a {};
  struct stat b {};
  if (fstat(one.get(), &a) != 0 || fstat(other.get(), &b) != 0) ThrowErrno("fstat");
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// Enters the namespaces of a process. Returns false when it has none of its own.
bool Enter(const std::string& process) {
  const UniqueFd user = OpenNamespace(process, "user");
  const UniqueFd network = OpenNamespace(process, "net");
  const bool other_user = !IsSame(user, OpenNamespace("self", "user"));
  const bool other_network = !IsSame(network, OpenNamespace("self", "net"));
  if (!other_user && !other_network) return false;
  // The user namespace first: it gives the right to enter the network that belongs to it. A network
  // that is the machine's own is entered already.
  if (other_user && setns(user.get(), CLONE_NEWUSER) != 0)
    ThrowErrno("cannot enter its user namespace");
  if (other_network && setns(network.get(), CLONE_NEWNET) != 0) {
    ThrowErrno("cannot enter its network namespace");
  }
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) {
    ThrowErrno("its user namespace has no root, whom alone libudev believes");
  }
  return true;
}

void Send(Header header, const std::string& properties) {
  header.properties_size = static_cast<uint32_t>(properties.size());
  const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  if (!fd) ThrowErrno("cannot open a socket there");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kUdevGroup;
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  message += properties;
  const ssize_t sent = sendto(fd.get(), message.data(), message.size(), 0,
                              reinterpret_cast<sockaddr*>(&address), sizeof address);
  // Nobody listens: that is no failure of ours.
  if (sent < 0 && errno != ECONNREFUSED) ThrowErrno("cannot send there");
}

int Run(int count, char** arguments) {
  if (count < 3 || arguments[1][0] == '\0' ||
      strspn(arguments[1], "0123456789") != strlen(arguments[1])) {
    fprintf(stderr, "usage: scanbridge-announce PID KEY=VALUE...\n");
    return 2;
  }
  Header header;
  std::string properties;
  for (int i = 2; i < count; i++) {
    const std::string_view property = arguments[i];
    const size_t sign = property.find('=');
    if (sign == std::string_view::npos) {
      fprintf(stderr, "scanbridge-announce: \"%s\" is no KEY=VALUE\n", arguments[i]);
      return 2;
    }
    const std::string_view key = property.substr(0, sign);
    if (key == "SUBSYSTEM") header.subsystem_hash = htonl(Hash(property.substr(sign + 1)));
    if (key == "DEVTYPE") header.devtype_hash = htonl(Hash(property.substr(sign + 1)));
    properties.append(property).push_back('\0');
  }
  if (properties.size() > kMaxProperties) {
    fprintf(stderr, "scanbridge-announce: more than %zu bytes\n", kMaxProperties);
    return 2;
  }
  if (Enter(arguments[1])) Send(header, properties);
  return 0;
}

}  // namespace
}  // namespace scanbridge::guest

int main(int count, char** arguments) {
  try {
    return scanbridge::guest::Run(count, arguments);
  } catch (const std::system_error& failure) {
    fprintf(stderr, "scanbridge-announce: process %s: %s\n", arguments[1], failure.what());
    return 1;
  }
}
