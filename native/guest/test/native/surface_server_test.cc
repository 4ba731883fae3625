// SPDX-License-Identifier: Apache-2.0
// The server's half of the protocol over real sockets. The source's thread and the test's thread
// meet in the loop's lock, which is what ThreadSanitizer looks at.
#include "server/surface_server.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <scanbridge/surface/connection.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <optional>
#include <string>

namespace scanbridge::guest {
namespace {

using surface::Connection;
using surface::Make;
using surface::Message;
using surface::ReceiveStatus;

size_t OpenDescriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  size_t count = 0;
  while (::readdir(folder) != nullptr) count++;
  ::closedir(folder);
  return count;
}

class Peer {
 public:
  explicit Peer(const std::string& path, uint64_t capabilities = SB_CAPABILITY_MEMFD)
      : connection_(Open(path), SB_FROM_SERVER) {
    auto hello = Make<sb_hello>(SB_MSG_HELLO, 0, 1);
    hello.magic = SB_SURFACE_MAGIC;
    hello.version_major = SB_SURFACE_VERSION_MAJOR;
    hello.capabilities = capabilities;
    connection_.Send(hello);
    EXPECT_TRUE(Next(SB_MSG_HELLO_REPLY));
  }

  static UniqueFd Open(const std::string& path) {
    surface::Error error;
    UniqueFd socket = surface::Connect(path, error);
    EXPECT_TRUE(socket) << error.text;
    return socket;
  }

  void Subscribe(uint32_t stream, uint32_t capture) {
    auto message = Make<sb_subscribe_capture>(SB_MSG_SUBSCRIBE_CAPTURE, stream, 2);
    message.capture = capture;
    connection_.Send(message);
  }

  void Release(uint32_t stream, uint64_t sequence) {
    auto message = Make<sb_release>(SB_MSG_RELEASE, stream);
    message.sequence = sequence;
    connection_.Send(message);
  }

  /// The next message, which has to be of this type; the copy's span is not valid.
  bool Next(uint16_t type) {
    while (true) {
      switch (connection_.Receive(message_)) {
        case ReceiveStatus::kMessage:
          EXPECT_EQ(message_.header().type, type);
          return message_.header().type == type;
        case ReceiveStatus::kWouldBlock: {
          pollfd fd = {connection_.fd(), POLLIN, 0};
          if (::poll(&fd, 1, 5000) != 1) {
            ADD_FAILURE() << "message " << type << " did not come";
            return false;
          }
          break;
        }
        case ReceiveStatus::kClosed:
        case ReceiveStatus::kFailed:
          closed_ = true;
          EXPECT_EQ(type, 0) << "closed instead of message " << type;
          return type == 0;
      }
    }
  }

  /// The connection ends.
  bool Closed() { return Next(0); }

  /// Nothing came until everything that was asked before is answered.
  bool Quiet() {
    connection_.Send(Make<sb_ping>(SB_MSG_PING, 0, 9));
    return Next(SB_MSG_PONG);
  }

  const Message& message() const { return message_; }
  Connection& connection() { return connection_; }

 private:
  Connection connection_;
  Message message_;
  bool closed_ = false;
};

class SurfaceServerTest : public ::testing::Test {
 protected:
  SurfaceServerTest() {
    surface::Error error;
    auto listener = surface::Listener::Open(path_, error);
    EXPECT_TRUE(listener) << error.text;
    const Loop::Lock lock(*loop_);
    server_ = std::make_unique<SurfaceServer>(*loop_, std::move(*listener), "test", 3);
    source_ = server_->MakeSource();
  }

  ~SurfaceServerTest() override { Stop(); }

  void Stop() {
    if (!loop_) return;
    {
      const Loop::Lock lock(*loop_);
      if (source_) server_->RemoveSource(*source_);
      source_.reset();
      server_.reset();
    }
    loop_.reset();
  }

  /// A picture in a surface of its own id.
  void Present(uint32_t surface_id, const Damage& damage) {
    const Loop::Lock lock(*loop_);
    auto& surface = surfaces_[surface_id % 4];
    if (!surface || surface->description.surface != surface_id) {
      surface = std::make_shared<Surface>();
      surface->description.surface = surface_id;
      surface->description.kind = SB_SURFACE_KIND_MEMFD;
      surface->description.width = 64;
      surface->description.height = 64;
      surface->description.format = 0x34325258;
      surface->description.plane_count = 1;
      surface->description.planes[0] = {0, 16384, 256, 0};
      UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
      EXPECT_EQ(::ftruncate(fd.get(), 16384), 0);
      surface->fds.push_back(std::move(fd));
    }
    Picture::Content content;
    content.surface = surface;
    content.sequence = ++sequence_;
    content.pts = 1000 * sequence_;
    content.crop = {0, 0, 64, 64};
    source_->Present(std::make_shared<Picture>(content, [this](bool) { returned_++; }), damage);
  }

  void Present(uint32_t surface_id = 1) {
    Damage damage;
    damage.Add({static_cast<uint32_t>(sequence_ % 64), 0, 1, 1});
    Present(surface_id, damage);
  }

  int returned() {
    const Loop::Lock lock(*loop_);
    return returned_;
  }

  const std::string path_ = ::testing::TempDir() + "sb-test-" + std::to_string(::getpid());
  std::unique_ptr<Loop> loop_ = std::make_unique<Loop>("test");
  std::unique_ptr<SurfaceServer> server_;
  std::unique_ptr<Source> source_;
  std::shared_ptr<Surface> surfaces_[4];
  uint64_t sequence_ = 0;
  int returned_ = 0;
};

TEST_F(SurfaceServerTest, OneFrameAtATimeWithMergedDamage) {
  Peer peer(path_);
  peer.Subscribe(7, 1);
  ASSERT_TRUE(peer.Next(SB_MSG_OK));
  ASSERT_TRUE(peer.Next(SB_MSG_STATE));
  EXPECT_EQ(peer.message().As<sb_state>().state, uint32_t{SB_STREAM_STATE_WAITING});
  Present();
  ASSERT_TRUE(peer.Next(SB_MSG_STATE));
  ASSERT_TRUE(peer.Next(SB_MSG_SURFACE));
  EXPECT_EQ(peer.message().fds.size(), 1u);
  ASSERT_TRUE(peer.Next(SB_MSG_FRAME));
  EXPECT_EQ(peer.message().As<sb_frame>().damage_count, 0u) << "a first frame changes everything";
  Present();
  Present();
  Present();
  ASSERT_TRUE(peer.Quiet());
  EXPECT_EQ(returned(), 2) << "the client has one, the source keeps the newest";
  peer.Release(7, 1);
  ASSERT_TRUE(peer.Next(SB_MSG_FRAME));
  const auto frame = peer.message().As<sb_frame>();
  EXPECT_EQ(frame.sequence, 4u);
  EXPECT_EQ(frame.damage_count, 3u);
  EXPECT_EQ(returned(), 3);
}

TEST_F(SurfaceServerTest, ALateClientGetsThePresentPicture) {
  Present();
  Peer peer(path_);
  peer.Subscribe(1, 1);
  ASSERT_TRUE(peer.Next(SB_MSG_OK));
  ASSERT_TRUE(peer.Next(SB_MSG_STATE));
  EXPECT_EQ(peer.message().As<sb_state>().state, uint32_t{SB_STREAM_STATE_ACTIVE});
  ASSERT_TRUE(peer.Next(SB_MSG_SURFACE));
  ASSERT_TRUE(peer.Next(SB_MSG_FRAME));
}

TEST_F(SurfaceServerTest, ReleaseCrossingAResetIsIgnoredAndAnInventedOneIsFatal) {
  Present();
  Peer peer(path_);
  peer.Subscribe(1, 1);
  for (const uint16_t type : {SB_MSG_OK, SB_MSG_STATE, SB_MSG_SURFACE, SB_MSG_FRAME}) {
    ASSERT_TRUE(peer.Next(type));
  }
  {
    const Loop::Lock lock(*loop_);
    source_->Reset(SB_RESET_REASON_RENEGOTIATED);
  }
  ASSERT_TRUE(peer.Next(SB_MSG_RESET));
  peer.Release(1, 1);
  ASSERT_TRUE(peer.Quiet());
  EXPECT_EQ(returned(), 0) << "the memory is gone: there is nothing to give back";
  Present(2);
  ASSERT_TRUE(peer.Next(SB_MSG_SURFACE));
  ASSERT_TRUE(peer.Next(SB_MSG_FRAME));
  EXPECT_EQ(peer.message().As<sb_frame>().flags, uint32_t{SB_FRAME_FLAG_DISCONTINUITY});
  peer.Release(1, 3);
  ASSERT_TRUE(peer.Next(SB_MSG_ERROR));
  EXPECT_EQ(peer.message().As<sb_error>().code, uint32_t{SB_SURFACE_ERROR_BAD_RELEASE});
  EXPECT_TRUE(peer.Closed());
}

TEST_F(SurfaceServerTest, ErrorsOfRequestsAreNotFatal) {
  Peer peer(path_);
  peer.Subscribe(1, 99);
  ASSERT_TRUE(peer.Next(SB_MSG_ERROR));
  EXPECT_EQ(peer.message().As<sb_error>().code, uint32_t{SB_SURFACE_ERROR_NO_SUCH_CAPTURE});
  EXPECT_EQ(peer.message().header().serial, 2u);
  peer.Subscribe(1, 1);
  ASSERT_TRUE(peer.Next(SB_MSG_OK));
  ASSERT_TRUE(peer.Next(SB_MSG_STATE));
  peer.Subscribe(1, 1);
  ASSERT_TRUE(peer.Next(SB_MSG_ERROR));
  EXPECT_EQ(peer.message().As<sb_error>().code, uint32_t{SB_SURFACE_ERROR_BAD_STREAM});
  for (uint32_t stream = 2; stream <= SB_MAX_STREAMS; stream++) {
    peer.Subscribe(stream, 1);
    ASSERT_TRUE(peer.Next(SB_MSG_OK));
    ASSERT_TRUE(peer.Next(SB_MSG_STATE));
  }
  peer.Subscribe(100, 1);
  ASSERT_TRUE(peer.Next(SB_MSG_ERROR));
  EXPECT_EQ(peer.message().As<sb_error>().code, uint32_t{SB_SURFACE_ERROR_TOO_MANY});
  peer.connection().Send(Make<sb_unsubscribe>(SB_MSG_UNSUBSCRIBE, 5, 3));
  ASSERT_TRUE(peer.Next(SB_MSG_OK));
  peer.connection().Send(Make<sb_unsubscribe>(SB_MSG_UNSUBSCRIBE, 5, 3));
  ASSERT_TRUE(peer.Next(SB_MSG_ERROR));
}

TEST_F(SurfaceServerTest, TheEndOfASourceEndsItsStreams) {
  Present();
  Peer peer(path_);
  peer.Subscribe(1, 1);
  for (const uint16_t type : {SB_MSG_OK, SB_MSG_STATE, SB_MSG_SURFACE, SB_MSG_FRAME}) {
    ASSERT_TRUE(peer.Next(type));
  }
  {
    const Loop::Lock lock(*loop_);
    source_->End(SB_SURFACE_ERROR_SOURCE_FAILED, "gone");
  }
  ASSERT_TRUE(peer.Next(SB_MSG_STREAM_END));
  EXPECT_EQ(returned(), 1);
  peer.Release(1, 1);
  ASSERT_TRUE(peer.Quiet()) << "a release may cross the end";
}

TEST_F(SurfaceServerTest, MoreClientsThanTheLimitAreToldSo) {
  Peer a(path_);
  Peer b(path_);
  Peer c(path_);
  Connection d(Peer::Open(path_), SB_FROM_SERVER);
  Message message;
  ReceiveStatus status;
  while ((status = d.Receive(message)) == ReceiveStatus::kWouldBlock) {
    pollfd fd = {d.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&fd, 1, 5000), 1);
  }
  ASSERT_EQ(status, ReceiveStatus::kMessage);
  EXPECT_EQ(message.As<sb_error>().code, uint32_t{SB_SURFACE_ERROR_TOO_MANY});
}

TEST_F(SurfaceServerTest, GarbageIsAnsweredAndClosed) {
  for (const bool greeted : {false, true}) {
    std::optional<Peer> peer;
    UniqueFd raw;
    if (greeted) {
      peer.emplace(path_);
    } else {
      raw = Peer::Open(path_);
    }
    const int fd = greeted ? peer->connection().fd() : raw.get();
    sb_header header{};
    header.length = 0xffffffff;
    header.type = SB_MSG_PING;
    ASSERT_EQ(::send(fd, &header, sizeof header, MSG_NOSIGNAL), ssize_t{sizeof header});
    if (greeted) {
      ASSERT_TRUE(peer->Next(SB_MSG_ERROR));
      EXPECT_EQ(peer->message().As<sb_error>().fatal, 1u);
      EXPECT_TRUE(peer->Closed());
    }
  }
  const Loop::Lock lock(*loop_);
  EXPECT_GE(server_->counters().violations, 1u);
}

TEST_F(SurfaceServerTest, AClientThatDoesNotReadGetsNoFurtherFrames) {
  Peer peer(path_);
  peer.Subscribe(1, 1);
  // Answers that nobody reads fill the socket, then the queue; requests wait with them.
  for (int i = 0; i < 20000; i++) {
    if (peer.connection().Send(Make<sb_ping>(SB_MSG_PING, 0, 1)) != surface::SendStatus::kSent)
      break;
  }
  for (int i = 0; i < 1000; i++) Present();
  const Loop::Lock lock(*loop_);
  EXPECT_EQ(returned_, 999 - (source_->counters().frames > 0 ? 1 : 0));
  EXPECT_LE(source_->counters().frames, 1u);
}

TEST_F(SurfaceServerTest, DescriptorsAreFlatOver500Clients) {
  Present();
  const auto cycle = [this](uint32_t surface) {
    Peer peer(path_);
    peer.Subscribe(1, 1);
    Present(surface);
    while (peer.message().bytes.empty() || peer.message().header().type != SB_MSG_FRAME) {
      pollfd fd = {peer.connection().fd(), POLLIN, 0};
      ASSERT_EQ(::poll(&fd, 1, 5000), 1);
      Message message;
      if (peer.connection().Receive(message) == ReceiveStatus::kMessage &&
          message.header().type == SB_MSG_FRAME) {
        break;
      }
    }
  };
  const auto clients = [this] {
    const Loop::Lock lock(*loop_);
    return server_->client_count();
  };
  for (uint32_t i = 0; i < 8; i++) cycle(1 + i % 3);
  while (clients() > 0) ::usleep(1000);
  const size_t before = OpenDescriptors();
  for (uint32_t i = 0; i < 500; i++) {
    cycle(1 + i % 3);
    while (clients() > 2) ::usleep(1000);
  }
  while (clients() > 0) ::usleep(1000);
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(SurfaceServerTest, TheSocketIsPrivateAndGoesWithTheServer) {
  struct stat status;
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  surface::Error error;
  EXPECT_FALSE(surface::Listener::Open(path_, error)) << "it is in use";
  Stop();
  EXPECT_NE(::stat(path_.c_str(), &status), 0);
}

}  // namespace
}  // namespace scanbridge::guest
