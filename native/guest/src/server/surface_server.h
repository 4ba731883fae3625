// SPDX-License-Identifier: Apache-2.0
// Serves sources of pictures to clients over the surface protocol.
#ifndef SCANBRIDGE_GUEST_SERVER_SURFACE_SERVER_H_
#define SCANBRIDGE_GUEST_SERVER_SURFACE_SERVER_H_

#include <scanbridge/surface.h>
#include <scanbridge/surface/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "loop/loop.h"
#include "server/client.h"
#include "server/source.h"

namespace scanbridge::guest {

/// Lives in its loop's thread: construct, use and destroy it with the loop's lock held.
class SurfaceServer {
 public:
  static constexpr uint64_t kCapabilities = SB_CAPABILITY_MEMFD | SB_CAPABILITY_DMABUF |
                                            SB_CAPABILITY_EXPLICIT_SYNC | SB_CAPABILITY_CAPTURES;

  struct Counters {
    uint64_t accepted = 0;
    uint64_t refused = 0;
    uint64_t violations = 0;
  };

  SurfaceServer(Loop& loop, surface::Listener listener, std::string name, size_t max_clients);
  SurfaceServer(const SurfaceServer&) = delete;
  SurfaceServer& operator=(const SurfaceServer&) = delete;
  /// Disconnects all clients; the sources are gone before.
  ~SurfaceServer();

  /// A new source, which clients can subscribe to by its id. The server's destruction must not
  /// precede its.
  std::unique_ptr<Source> MakeSource();
  /// Clients cannot find it any more; to be called before it is destroyed.
  void RemoveSource(Source& source);

  const Counters& counters() const { return counters_; }
  size_t client_count() const { return clients_.size(); }

  // What clients do.

  const std::string& name() const { return name_; }
  Source* FindSource(uint32_t id) const;
  void NoteViolation() { counters_.violations++; }
  /// Runs `task` after other events had their turn, if the client is still there.
  void Resume(Client& client, std::function<void()> task);
  /// Destroys the client once the present event was handled.
  void Remove(Client& client);

 private:
  void Accept();

  Loop& loop_;
  const std::string name_;
  const size_t max_clients_;
  surface::Listener listener_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Source*> sources_;
  uint32_t next_source_ = 1;
  Counters counters_;
  /// Tasks that were posted to the loop look at this first: the server may be gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  /// Keeps accepting from spinning while the process has no descriptors left.
  Timer accept_again_;
  IoWatch watch_;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SERVER_SURFACE_SERVER_H_
