// SPDX-License-Identifier: Apache-2.0
#include "server/surface_server.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace scanbridge::guest {
namespace {

using std::chrono_literals::operator""ms;

constexpr auto kAcceptPause = 100ms;

}  // namespace

SurfaceServer::SurfaceServer(Loop& loop, surface::Listener listener, std::string name,
                             size_t max_clients)
    : loop_(loop),
      name_(std::move(name)),
      max_clients_(max_clients),
      listener_(std::move(listener)),
      accept_again_(loop, [this] { watch_.Update(SPA_IO_IN); }),
      watch_(loop, listener_.fd(), SPA_IO_IN, [this](uint32_t) { Accept(); }) {}

SurfaceServer::~SurfaceServer() {
  *alive_ = false;
}

std::unique_ptr<Source> SurfaceServer::MakeSource() {
  auto source = std::make_unique<Source>(next_source_++);
  sources_.push_back(source.get());
  return source;
}

void SurfaceServer::RemoveSource(Source& source) {
  std::erase(sources_, &source);
}

Source* SurfaceServer::FindSource(uint32_t id) const {
  for (Source* source : sources_) {
    if (source->id() == id && !source->ended()) return source;
  }
  return nullptr;
}

void SurfaceServer::Resume(Client& client, std::function<void()> task) {
  loop_.Post([this, alive = alive_, client = &client, task = std::move(task)] {
    if (!*alive) return;
    if (std::ranges::find(clients_, client, &std::unique_ptr<Client>::get) != clients_.end()) {
      task();
    }
  });
}

void SurfaceServer::Remove(Client& client) {
  loop_.Post([this, alive = alive_, client = &client] {
    if (!*alive) return;
    std::erase_if(clients_, [client](const auto& entry) { return entry.get() == client; });
  });
}

void SurfaceServer::Accept() {
  errno = 0;
  UniqueFd socket = listener_.Accept();
  if (!socket) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    // Out of descriptors or memory: the listener would stay readable and the loop would spin.
    watch_.Update(0);
    accept_again_.Start(kAcceptPause);
    return;
  }
  const auto user = surface::PeerUser(socket.get());
  auto client = std::make_unique<Client>(*this, loop_, std::move(socket));
  Client& accepted = *client;
  clients_.push_back(std::move(client));
  if (user && *user != ::geteuid() && *user != 0) {
    counters_.refused++;
    accepted.Refuse(SB_SURFACE_ERROR_DENIED, "Only the user who runs this server may connect.");
  } else if (clients_.size() > max_clients_) {
    counters_.refused++;
    accepted.Refuse(SB_SURFACE_ERROR_TOO_MANY,
                    "The server has as many clients as it takes; disconnect one.");
  } else {
    counters_.accepted++;
  }
}

}  // namespace scanbridge::guest
