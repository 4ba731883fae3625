// SPDX-License-Identifier: Apache-2.0
// What needs no peer is tried on AF_VSOCK itself, the stream's calls on a pair of Unix sockets: few
// machines can reach themselves by AF_VSOCK. The guest of test/vm tries it all.
#include "socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace scanbridge::vsock {
namespace {

constexpr uint32_t kAny = 0xffffffff;

std::pair<Socket, Socket> Pair() {
  std::array<int, 2> fds{-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
  return {Socket(fds[0]), Socket(fds[1])};
}

ssize_t WriteBytes(Socket& socket, std::vector<uint8_t> bytes) {
  const std::array<iovec, 1> part{iovec{bytes.data(), bytes.size()}};
  return socket.Write(part);
}

bool IsOpen(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

TEST(Socket, ReadsWhatIsThereAndNeverWaits) {
  auto [a, b] = Pair();
  std::array<uint8_t, 4> room{};
  EXPECT_EQ(b.Read(room), -EAGAIN);
  EXPECT_EQ(WriteBytes(a, {1, 2, 3, 4, 5, 6}), 6);
  EXPECT_EQ(b.Read(room), 4);
  EXPECT_EQ(room, (std::array<uint8_t, 4>{1, 2, 3, 4}));
  EXPECT_EQ(b.Read(room), 2);
  EXPECT_EQ(b.Read(room), -EAGAIN);
}

TEST(Socket, WritesPartsInOrderAndSaysWhatTheKernelTook) {
  auto [a, b] = Pair();
  std::array<uint8_t, 2> first{1, 2};
  std::array<uint8_t, 3> second{3, 4, 5};
  const std::array<iovec, 2> parts{iovec{first.data(), first.size()},
                                   iovec{second.data(), second.size()}};
  EXPECT_EQ(a.Write(parts), 5);
  std::array<uint8_t, 8> room{};
  EXPECT_EQ(b.Read(room), 5);
  EXPECT_EQ(room, (std::array<uint8_t, 8>{1, 2, 3, 4, 5, 0, 0, 0}));

  const std::vector<uint8_t> much(1 << 20);
  ssize_t taken = 0;
  ssize_t result = 0;
  while ((result = WriteBytes(a, much)) > 0) taken += result;
  EXPECT_EQ(result, -EAGAIN);
  EXPECT_GT(taken, 0);
}

TEST(Socket, EndsOneDirection) {
  auto [a, b] = Pair();
  EXPECT_EQ(a.ShutdownWrite(), 0);
  std::array<uint8_t, 4> room{};
  EXPECT_EQ(b.Read(room), 0);
  EXPECT_EQ(WriteBytes(b, {7}), 1);
  EXPECT_EQ(a.Read(room), 1);
}

TEST(Socket, APeerThatIsGoneIsAnErrorAndNoSignal) {
  auto [a, b] = Pair();
  b.Close();
  EXPECT_EQ(WriteBytes(a, {1}), -EPIPE);
}

TEST(Socket, OwnsItsDescriptor) {
  auto [a, b] = Pair();
  const int fd = a.fd();
  Socket moved(std::move(a));
  EXPECT_EQ(moved.fd(), fd);
  EXPECT_TRUE(IsOpen(fd));
  const int other = b.fd();
  moved = std::move(b);
  EXPECT_FALSE(IsOpen(fd));
  EXPECT_EQ(moved.fd(), other);
  { const Socket last(std::move(moved)); }
  EXPECT_FALSE(IsOpen(other));
}

TEST(Socket, ListensOnAFreePort) {
  Socket socket;
  const int opened = socket.Open();
  if (opened == -EAFNOSUPPORT) GTEST_SKIP() << "this kernel has no AF_VSOCK";
  ASSERT_EQ(opened, 0);
  ASSERT_EQ(socket.Listen({kAny, kAny}, 1), 0);
  Address address;
  ASSERT_EQ(socket.Local(address), 0);
  EXPECT_NE(address.port, kAny);
  Socket connection;
  EXPECT_EQ(socket.Accept(connection, address), -EAGAIN);
  EXPECT_FALSE(connection.open());
  Address peer;
  EXPECT_EQ(socket.Peer(peer), -ENOTCONN);

  Socket second;
  ASSERT_EQ(second.Open(), 0);
  EXPECT_EQ(second.Listen(address, 1), -EADDRINUSE);
}

TEST(Socket, OpensDevicesOnly) {
  Socket socket;
  EXPECT_LT(socket.OpenDevice("/proc/self/status"), 0);
  EXPECT_EQ(socket.OpenDevice("/nonexistent"), -ENOENT);
  EXPECT_EQ(socket.OpenDevice("/dev/ptmx"), -ENOTTY);
  EXPECT_FALSE(socket.open());
  ASSERT_EQ(socket.OpenDevice("/dev/zero"), 0);
  std::array<uint8_t, 4> room{1, 2, 3, 4};
  EXPECT_EQ(socket.Read(room), 4);
  EXPECT_EQ(room, (std::array<uint8_t, 4>{}));
  EXPECT_EQ(WriteBytes(socket, {1, 2}), 2);
}

TEST(Socket, AddressesOfAnotherFamilyAreNotRead) {
  auto [a, b] = Pair();
  Address address{5, 6};
  EXPECT_EQ(a.Local(address), -EAFNOSUPPORT);
  EXPECT_EQ(address.cid, 5u);
}

}  // namespace
}  // namespace scanbridge::vsock
