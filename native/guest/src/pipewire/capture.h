// SPDX-License-Identifier: Apache-2.0
// A PipeWire video stream as a source of the surface server.
//
// Duties and invariants:
//  - The buffers themselves are passed on; no pixel is copied or mapped here.
//  - Of the pool, the newest picture's buffer is kept (for clients that join a still desktop), and
//  those that
//    clients read. When too few are left for the compositor, the oldest of the clients' are taken
//    back at once: a slow client may see a torn picture, it never stops the desktop.
//  - Everything happens in the loop's thread; the process callback dequeues and hands over, it
//  never waits.
//  - After `ended` nothing is called any more.
#ifndef SCANBRIDGE_GUEST_PIPEWIRE_CAPTURE_H_
#define SCANBRIDGE_GUEST_PIPEWIRE_CAPTURE_H_

#include <pipewire/pipewire.h>
#include <scanbridge/surface/unique_fd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpu/sync_timeline.h"
#include "loop/loop.h"
#include "pipewire/node_watch.h"
#include "pipewire/params.h"
#include "server/damage.h"
#include "server/source.h"

namespace scanbridge::guest {

enum class CaptureErrorCode {
  kConnectFailed,
  kNoSuchNode,
  kNoFormat,
  kTimeout,
  kSourceLost,
  kPipeWireLost,
  kBadBuffer,
  kNoMemory,
};

struct CaptureError {
  CaptureErrorCode code;
  std::string message;
};

enum class CaptureState { kConnecting, kWaiting, kActive };

struct CaptureFormat {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t fourcc = 0;
  uint64_t modifier = 0;
  bool dmabuf = false;
  bool explicit_sync = false;

  bool operator==(const CaptureFormat&) const = default;
};

struct CaptureOptions {
  uint32_t node = PW_ID_ANY;
  /// Socket path or name; empty: the default daemon.
  std::string remote;
  /// A connection to the daemon, used instead of `remote` when it is there.
  UniqueFd connection;
  FormatOffer offer;
  /// DRM render node of the GPU that explicit sync is signalled through; empty: no explicit sync.
  std::string render_node;
  std::chrono::milliseconds connect_timeout{5000};
  /// Tells what the host calls a dma-buf, once for each buffer that PipeWire adds; throws DrmError.
  /// Empty: nobody asks. Where it throws, the source is asked for shared memory instead.
  std::function<uint32_t(int dmabuf)> resolve;
};

class Capture {
 public:
  struct Events {
    std::function<void(CaptureState)> state;
    std::function<void(const CaptureFormat&)> format;
    /// PipeWire added a buffer; `resource` is 0 where nothing was resolved. May be empty.
    std::function<void(uint32_t resource, bool dmabuf)> buffer;
    /// The source's dma-bufs cannot be used, for this reason, and it is asked for shared memory.
    /// May be empty.
    std::function<void(const std::string& reason)> fallback;
    std::function<void(const CaptureError&)> error;
    /// Nothing follows; the owner may destroy the capture, though not from within.
    std::function<void()> ended;
  };

  struct PoolCounters {
    uint32_t buffers = 0;
    uint32_t held = 0;
    uint64_t bad = 0;
  };

  /// Starts at once. Construct, use and destroy it with the loop's lock held.
  Capture(Loop& loop, Source& source, CaptureOptions options, Events events);
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture();

  /// Ends the capture in good order; `ended` follows.
  void Close();
  /// Ends it with an error of whoever uses its pictures.
  void Abandon(CaptureErrorCode code, std::string message) { Fail(code, std::move(message)); }
  /// See FormatOffer; for sources that leave the size to their consumer.
  void Resize(uint32_t width, uint32_t height);
  /// Takes shared memory only from here on: nobody can use the source's dma-bufs, for this reason.
  void AvoidDmaBufs(std::string reason);
  const PoolCounters& pool() const { return pool_; }

 private:
  struct Buffer;

  void Connect();
  void OnCoreDone(uint32_t id, int sequence);
  void OnCoreError(uint32_t id, int result, const char* message);
  void OpenStream();
  void OnState(pw_stream_state state, const char* error);
  void OnFormat(const spa_pod* param);
  void OnAddBuffer(pw_buffer* buffer);
  void OnRemoveBuffer(pw_buffer* buffer);
  void OnProcess();
  void OnTimeout();
  void UpdateFormats();
  /// What the host calls the buffer's memory; 0 when it has no name, or is of no use.
  uint32_t Resolve(const spa_data& data);

  /// Takes what the buffer says besides its picture; the crop when there is a picture.
  std::optional<sb_rect> ReadMeta(const spa_buffer& buffer);
  void Present(Buffer& buffer, const sb_rect& crop);
  /// Sets the buffer's surface as its memory lies now; false when the picture does not fit into it.
  bool Describe(Buffer& buffer);
  /// Returns a buffer to PipeWire.
  void Queue(Buffer& buffer, bool was_read);
  void TakeBack(Buffer& buffer, bool was_read);
  void NoteBad(const char* why);
  /// Takes buffers back from clients until the source can go on.
  void KeepPoolAlive();
  void AnnounceFormat(const CaptureFormat& format);
  void SetState(CaptureState state);
  void Fail(CaptureErrorCode code, std::string message);
  void Finish(sb_surface_error code, const std::string& text);
  void TearDown();
  std::string Place() const;

  Loop& loop_;
  Source& source_;
  CaptureOptions options_;
  const Events events_;
  SyncTimeline timeline_;
  pw_core* core_ = nullptr;
  spa_hook core_hook_{};
  pw_stream* stream_ = nullptr;
  spa_hook stream_hook_{};
  std::unique_ptr<NodeWatch> watch_;
  int sync_sequence_ = -1;
  Timer deadline_;
  NegotiatedFormat negotiated_;
  bool has_format_ = false;
  CaptureFormat announced_;
  CaptureState state_ = CaptureState::kConnecting;
  /// Clients know surfaces of the present negotiation.
  bool presented_ = false;
  /// What changed in pictures that could not be presented.
  Damage missed_;
  /// Pictures that the source sent.
  uint64_t sequence_ = 0;
  uint32_t next_surface_ = 1;
  uint32_t bad_in_a_row_ = 0;
  /// Why dma-bufs are not taken any more.
  std::string avoided_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  PoolCounters pool_;
  bool finished_ = false;
  /// Posted tasks look at this first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_PIPEWIRE_CAPTURE_H_
