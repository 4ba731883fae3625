// SPDX-License-Identifier: Apache-2.0
// scanbridge-keeper: holds the descriptors of an agent that dies.
//
// The kernel ends all DRM leases when the master's last descriptor is closed, and a compositor ends
// when its seat's connection does. So the agent keeps copies of both here, with a few words about
// each, and the agent that is started next takes them up. This program knows nothing of what it
// holds; it is the same idea as systemd's file descriptor store.
//
// Started with a listening Unix stream socket as descriptor 3. One client at a time. Messages in
// both directions:
//
//   u8 kind, u8 descriptors (0 or 1), u16 key bytes, u32 value bytes (machine's byte order), key,
//   value
//
// kind 1: keep this under the key, in place of what was there. 2: forget the key. 3: that was all.
// A client that connects is sent everything, as messages of kind 1, then 3. What breaks the
// protocol ends the connection. Without a client the program waits for GRACE_SECONDS, when it holds
// anything, and ends: then the leases do, too.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "scanbridge/surface/unique_fd.h"
#include "seat/unix_socket.h"

namespace scanbridge::guest {
namespace {

constexpr int kListener = 3;
constexpr int kDefaultGraceSeconds = 60;
constexpr int kSendSeconds = 5;
constexpr size_t kMaxEntries = 4096;
constexpr size_t kMaxKey = 256;
constexpr size_t kMaxValue = 65'536;
constexpr size_t kReadSize = 65'536;

enum class Kind : uint8_t { kKeep = 1, kForget = 2, kEnd = 3 };

struct Header {
  uint8_t kind;
  uint8_t descriptors;
  uint16_t key;
  uint32_t value;
};
static_assert(sizeof(Header) == 8);

struct Entry {
  std::vector<uint8_t> value;
  UniqueFd fd;
};

using Entries = std::map<std::string, Entry>;

std::vector<uint8_t> Encode(Kind kind, size_t descriptors, const std::string& key,
                            const std::vector<uint8_t>& value) {
  const Header header{static_cast<uint8_t>(kind), static_cast<uint8_t>(descriptors),
                      static_cast<uint16_t>(key.size()), static_cast<uint32_t>(value.size())};
  std::vector<uint8_t> bytes(sizeof header + key.size() + value.size());
  memcpy(bytes.data(), &header, sizeof header);
  std::copy(key.begin(), key.end(), bytes.begin() + sizeof header);
  std::copy(value.begin(), value.end(),
            bytes.begin() + static_cast<ptrdiff_t>(sizeof header + key.size()));
  return bytes;
}

/// Waits while the client, which has just connected, reads; false when it does not.
bool SendEverything(int fd, const Entries& entries) {
  const timeval limit{kSendSeconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  try {
    for (const auto& [key, entry] : entries) {
      std::vector<int> descriptors;
      if (entry.fd) descriptors.push_back(entry.fd.get());
      Send(fd, Encode(Kind::kKeep, descriptors.size(), key, entry.value), descriptors);
    }
    Send(fd, Encode(Kind::kEnd, 0, "", {}), {});
  } catch (const std::system_error&) {
    return false;
  }
  return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}

/// What a client has sent and was not handled yet.
struct Inbox {
  std::vector<uint8_t> bytes;
  std::vector<UniqueFd> descriptors;
};

/// Handles all whole messages; false when one breaks the protocol.
bool Handle(Inbox& inbox, Entries& entries) {
  size_t at = 0;
  bool good = true;
  while (good && inbox.bytes.size() - at >= sizeof(Header)) {
    Header header;
    memcpy(&header, inbox.bytes.data() + at, sizeof header);
    if (header.key > kMaxKey || header.value > kMaxValue || header.descriptors > 1) return false;
    const size_t size = sizeof header + header.key + header.value;
    if (inbox.bytes.size() - at < size) break;
    const uint8_t* body = inbox.bytes.data() + at + sizeof header;
    const std::string key(body, body + header.key);
    at += size;
    if (header.kind == static_cast<uint8_t>(Kind::kForget)) {
      good = header.descriptors == 0;
      entries.erase(key);
      continue;
    }
    if (header.kind != static_cast<uint8_t>(Kind::kKeep)) return false;
    if (header.descriptors > inbox.descriptors.size()) return false;
    if (entries.size() >= kMaxEntries && !entries.contains(key)) return false;
    Entry& entry = entries[key];
    entry.value.assign(body + header.key, body + header.key + header.value);
    if (header.descriptors == 1) {
      entry.fd = std::move(inbox.descriptors.front());
      inbox.descriptors.erase(inbox.descriptors.begin());
    }
  }
  inbox.bytes.erase(inbox.bytes.begin(), inbox.bytes.begin() + static_cast<ptrdiff_t>(at));
  return good;
}

/// Reads until there is no more; false when the client is gone or breaks the protocol.
bool ReadAll(int fd, Inbox& inbox, Entries& entries) {
  try {
    for (;;) {
      Received received = Receive(fd, kReadSize);
      if (received.end) return false;
      inbox.bytes.insert(inbox.bytes.end(), received.data.begin(), received.data.end());
      for (UniqueFd& descriptor : received.descriptors) {
        inbox.descriptors.push_back(std::move(descriptor));
      }
      if (!Handle(inbox, entries)) return false;
    }
  } catch (const std::system_error& error) {
    return error.code().value() == EAGAIN;
  }
}

int Run(int grace_seconds) {
  Entries entries;
  const UniqueFd listener(kListener);
  UniqueFd client;
  Inbox inbox;
  for (;;) {
    // While there is a client, others wait.
    pollfd waiting{client ? client.get() : listener.get(), POLLIN, 0};
    const int timeout = client ? -1 : grace_seconds * 1000;
    const int ready = poll(&waiting, 1, timeout);
    if (ready < 0 && errno != EINTR) return EXIT_FAILURE;
    if (ready == 0) return EXIT_SUCCESS;
    if (ready < 0) continue;
    if (client) {
      if (ReadAll(client.get(), inbox, entries)) continue;
      client.reset();
      inbox = {};
      if (entries.empty()) return EXIT_SUCCESS;
      continue;
    }
    try {
      client = AcceptUnix(listener.get());
    } catch (const std::system_error&) {
      continue;
    }
    if (!SendEverything(client.get(), entries)) client.reset();
  }
}

}  // namespace
}  // namespace scanbridge::guest

int main(int argc, char** argv) {
  // Signals that are meant for the agent's group are not for this.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_IGN);
  prctl(PR_SET_NAME, "sb-keeper");
  const int grace = argc > 1 ? std::atoi(argv[1]) : scanbridge::guest::kDefaultGraceSeconds;
  return scanbridge::guest::Run(grace);
}
