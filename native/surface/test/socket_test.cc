// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <poll.h>
#include <scanbridge/surface/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "pair.h"

namespace scanbridge::surface::test {
namespace {

class Socket : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "scanbridge-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ / "s";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
  std::string path_;
  Error error_;
};

TEST_F(Socket, ConnectsAndKnowsThePeer) {
  auto listener = Listener::Open(path_, error_);
  ASSERT_TRUE(listener) << error_.text;
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const UniqueFd client = Connect(path_, error_);
  ASSERT_TRUE(client) << error_.text;
  const UniqueFd server = listener->Accept();
  ASSERT_TRUE(server);
  EXPECT_EQ(PeerUser(server.get()), ::getuid());
  EXPECT_FALSE(listener->Accept());
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(Socket, RemovesThePathAndReplacesADeadSocketOnly) {
  { auto listener = Listener::Open(path_, error_); }
  EXPECT_FALSE(std::filesystem::exists(path_));
  const auto live = Listener::Open(path_, error_);
  ASSERT_TRUE(live);
  EXPECT_FALSE(Listener::Open(path_, error_));
  EXPECT_EQ(error_.system, EADDRINUSE);
  EXPECT_TRUE(Connect(path_, error_)) << "the live listener keeps its path";

  const std::string file = folder_ / "file";
  std::ofstream(file) << "precious";
  EXPECT_FALSE(Listener::Open(file, error_));
  EXPECT_TRUE(std::filesystem::exists(file));

  const std::string dead = folder_ / "dead";
  {
    auto listener = Listener::Open(dead, error_);
    // What a killed process leaves behind: a second name of the socket file.
    ASSERT_EQ(::link(dead.c_str(), (dead + "2").c_str()), 0);
  }
  EXPECT_TRUE(Listener::Open(dead + "2", error_)) << error_.text;
}

TEST_F(Socket, SaysWhatIsWrong) {
  EXPECT_FALSE(Connect(path_, error_));
  EXPECT_EQ(error_.system, ENOENT);
  EXPECT_NE(error_.text.find(path_), std::string::npos);
  EXPECT_FALSE(Connect(std::string(200, 'x'), error_));
  EXPECT_EQ(error_.system, ENAMETOOLONG);
}

}  // namespace
}  // namespace scanbridge::surface::test
