// SPDX-License-Identifier: Apache-2.0
#include "seat/unix_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

namespace scanbridge::guest {
namespace {

class UnixSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "seatXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    listener_ = ListenUnix(folder_ + "/s");
    client_ = ConnectUnix(folder_ + "/s");
    server_ = AcceptUnix(listener_.get());
  }
  void TearDown() override {
    unlink((folder_ + "/s").c_str());
    rmdir(folder_.c_str());
  }

  std::string folder_;
  UniqueFd listener_, client_, server_;
};

std::vector<uint8_t> Bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

int CodeOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

TEST_F(UnixSocketTest, ItsFileIsItsOwnersAlone) {
  struct stat status {};
  ASSERT_EQ(stat((folder_ + "/s").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(UnixSocketTest, PassesBytesAndDescriptors) {
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const UniqueFd reader(pipe_ends[0]), writer(pipe_ends[1]);
  const std::array<int, 1> passed = {writer.get()};
  Send(client_.get(), Bytes("take it"), passed);
  Received received = Receive(server_.get(), 100);
  EXPECT_EQ(received.data, Bytes("take it"));
  ASSERT_EQ(received.descriptors.size(), 1u);
  EXPECT_FALSE(received.end);
  EXPECT_NE(fcntl(received.descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(write(received.descriptors[0].get(), "x", 1), 1);
  char byte = 0;
  ASSERT_EQ(read(reader.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_F(UnixSocketTest, MoreDescriptorsThanWereAskedForAreClosed) {
  const std::vector<int> most(kMaxDescriptors, listener_.get());
  Send(client_.get(), Bytes("a"), most);
  EXPECT_EQ(Receive(server_.get(), 10).descriptors.size(), kMaxDescriptors);
  const std::vector<int> more(kMaxDescriptors + 1, listener_.get());
  EXPECT_EQ(CodeOf([&] { Send(client_.get(), Bytes("a"), more); }), EINVAL);
}

TEST_F(UnixSocketTest, NeverWaits) {
  EXPECT_EQ(CodeOf([&] { Receive(server_.get(), 10); }), EAGAIN);
  EXPECT_EQ(CodeOf([&] { AcceptUnix(listener_.get()); }), EAGAIN);
  const std::vector<uint8_t> block(4096);
  EXPECT_EQ(CodeOf([&] {
              for (int i = 0; i < 10000; i++) Send(client_.get(), block, {});
            }),
            EAGAIN);
}

TEST_F(UnixSocketTest, TellsTheEnd) {
  client_.reset();
  EXPECT_TRUE(Receive(server_.get(), 10).end);
  EXPECT_EQ(CodeOf([&] { Send(server_.get(), Bytes("a"), {}); }), EPIPE);
}

TEST_F(UnixSocketTest, KnowsWhoIsThere) {
  const Peer peer = PeerOf(server_.get());
  EXPECT_EQ(peer.pid, getpid());
  EXPECT_EQ(peer.uid, getuid());
}

TEST_F(UnixSocketTest, PathsThatDoNotFitAreRefused) {
  EXPECT_EQ(CodeOf([] { ListenUnix(std::string(200, 'x')); }), ENAMETOOLONG);
  EXPECT_EQ(CodeOf([] { ConnectUnix(""); }), ENAMETOOLONG);
}

}  // namespace
}  // namespace scanbridge::guest
