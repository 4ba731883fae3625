// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <scanbridge/surface/connection.h>

#include <string>

#include "pair.h"

namespace scanbridge::surface::test {
namespace {

sb_surface SurfaceMessage(size_t fds) {
  auto message = Make<sb_surface>(SB_MSG_SURFACE, 7);
  message.header.fd_count = static_cast<uint8_t>(fds);
  message.surface = 1;
  message.kind = SB_SURFACE_KIND_MEMFD;
  message.width = 4;
  message.height = 4;
  message.plane_count = 1;
  message.planes[0] = {0, 64, 16, 0};
  return message;
}

FdList Files(size_t count) {
  FdList fds;
  for (size_t i = 0; i < count; i++) fds.push_back(AnyFile());
  return fds;
}

struct Peers {
  Pair pair;
  Connection server{std::move(pair.near), SB_FROM_CLIENT};
  Connection client{std::move(pair.far), SB_FROM_SERVER};
};

TEST(Connection, PassesMessagesAndDescriptorsInOrder) {
  Peers p;
  EXPECT_EQ(p.server.Send(SurfaceMessage(2), Files(2)), SendStatus::kSent);
  EXPECT_EQ(p.server.Send(Make<sb_ok>(SB_MSG_OK, 0, 9)), SendStatus::kSent);
  EXPECT_EQ(p.server.Send(SurfaceMessage(1), Files(1)), SendStatus::kSent);
  Message m;
  ASSERT_EQ(p.client.Receive(m), ReceiveStatus::kMessage);
  EXPECT_EQ(m.header().type, SB_MSG_SURFACE);
  ASSERT_EQ(m.fds.size(), 2u);
  EXPECT_EQ(::fcntl(m.fds[1].get(), F_GETFD), FD_CLOEXEC);
  ASSERT_EQ(p.client.Receive(m), ReceiveStatus::kMessage);
  EXPECT_EQ(m.header().serial, 9u);
  EXPECT_TRUE(m.fds.empty());
  ASSERT_EQ(p.client.Receive(m), ReceiveStatus::kMessage);
  EXPECT_EQ(m.fds.size(), 1u);
  EXPECT_EQ(p.client.Receive(m), ReceiveStatus::kWouldBlock);
}

TEST(Connection, TellsAnOrderlyEndFromATruncatedMessage) {
  {
    Peers p;
    Message m;
    ::shutdown(p.server.fd(), SHUT_WR);
    EXPECT_EQ(p.client.Receive(m), ReceiveStatus::kClosed);
  }
  Pair pair;
  Connection client(std::move(pair.near), SB_FROM_SERVER);
  const auto ok = Make<sb_ok>(SB_MSG_OK);
  RawSend(pair.far.get(), Bytes(ok).first(15));
  pair.far.reset();
  Message m;
  EXPECT_EQ(client.Receive(m), ReceiveStatus::kFailed);
  EXPECT_EQ(client.error().code, SB_SURFACE_ERROR_BAD_LENGTH);
}

TEST(Connection, GrowsForALargeMessageAndShrinksAgain) {
  Peers p;
  auto fixed = Make<sb_cursor>(SB_MSG_CURSOR, 7);
  fixed.flags = SB_CURSOR_FLAG_VISIBLE | SB_CURSOR_FLAG_SHAPE;
  fixed.width = fixed.height = 256;
  fixed.pixel_bytes = 256 * 256 * 4;
  fixed.header.length += fixed.pixel_bytes;
  std::vector<uint8_t> bytes(fixed.header.length, 0xa5);
  std::memcpy(bytes.data(), &fixed, sizeof fixed);
  SendStatus sent = p.server.Send(bytes);
  Message m;
  ReceiveStatus got = p.client.Receive(m);
  while (got == ReceiveStatus::kWouldBlock && sent == SendStatus::kQueued) {
    sent = p.server.Flush();
    got = p.client.Receive(m);
  }
  ASSERT_EQ(got, ReceiveStatus::kMessage) << static_cast<int>(sent);
  ASSERT_EQ(m.Tail<sb_cursor>().size(), 262144u);
  EXPECT_EQ(m.Tail<sb_cursor>().back(), 0xa5);
}

TEST(Connection, RefusesBeforeTheRestOfAMessageIsThere) {
  Pair pair;
  Connection client(std::move(pair.near), SB_FROM_SERVER);
  auto header = Make<sb_ok>(SB_MSG_OK);
  header.header.length = 0xffffffff;
  RawSend(pair.far.get(), Bytes(header));
  Message m;
  EXPECT_EQ(client.Receive(m), ReceiveStatus::kFailed);
  EXPECT_EQ(client.error().code, SB_SURFACE_ERROR_BAD_LENGTH);
  EXPECT_EQ(client.Receive(m), ReceiveStatus::kFailed) << "a failed direction stays failed";
}

TEST(Connection, MissingDescriptorsAreBadFds) {
  Pair pair;
  Connection client(std::move(pair.near), SB_FROM_SERVER);
  RawSend(pair.far.get(), Bytes(SurfaceMessage(2)), 1);
  Message m;
  EXPECT_EQ(client.Receive(m), ReceiveStatus::kFailed);
  EXPECT_EQ(client.error().code, SB_SURFACE_ERROR_BAD_FDS);
}

TEST(Connection, StrayTooManyAndTruncatedDescriptorsAreBadFdsAndNoneLeaks) {
  const auto ok = Make<sb_ok>(SB_MSG_OK);
  for (const size_t count : {1u, 16u, 17u, 200u}) {
    const size_t before = OpenDescriptors();
    {
      Pair pair;
      Connection client(std::move(pair.near), SB_FROM_SERVER);
      RawSend(pair.far.get(), Bytes(ok), count);
      Message m;
      ReceiveStatus got = client.Receive(m);
      if (got == ReceiveStatus::kMessage) got = client.Receive(m);
      EXPECT_EQ(got, ReceiveStatus::kFailed) << count;
      EXPECT_EQ(client.error().code, SB_SURFACE_ERROR_BAD_FDS) << count;
    }
    EXPECT_EQ(OpenDescriptors(), before) << count;
  }
}

TEST(Connection, DescriptorsThatPileUpBehindAHalfMessageAreBadFds) {
  Pair pair;
  Connection client(std::move(pair.near), SB_FROM_SERVER);
  const auto message = SurfaceMessage(6);
  Message m;
  RawSend(pair.far.get(), Bytes(message).first(20), 6);
  EXPECT_EQ(client.Receive(m), ReceiveStatus::kWouldBlock);
  RawSend(pair.far.get(), Bytes(message).subspan(20, 1), 8);
  EXPECT_EQ(client.Receive(m), ReceiveStatus::kWouldBlock);
  RawSend(pair.far.get(), Bytes(message).subspan(21, 1), 8);
  EXPECT_EQ(client.Receive(m), ReceiveStatus::kFailed);
  EXPECT_EQ(client.error().code, SB_SURFACE_ERROR_BAD_FDS);
}

TEST(Connection, QueueHasABoundAndKeepsOrder) {
  Peers p;
  SendStatus sent = SendStatus::kSent;
  uint32_t count = 0;
  while (sent == SendStatus::kSent) sent = p.server.Send(SurfaceMessage(1), Files(1)), count++;
  ASSERT_EQ(sent, SendStatus::kQueued);
  size_t queued = 1;
  while ((sent = p.server.Send(Make<sb_ok>(SB_MSG_OK, 0, count))) == SendStatus::kQueued) {
    count++;
    queued++;
  }
  EXPECT_EQ(sent, SendStatus::kFull);
  EXPECT_EQ(queued, Connection::kMaxQueuedMessages);
  EXPECT_TRUE(p.server.wants_write());
  uint32_t got = 0;
  for (;;) {
    Message m;
    while (p.client.Receive(m) == ReceiveStatus::kMessage) {
      if (m.header().type == SB_MSG_OK)
        EXPECT_EQ(m.header().serial, got);
      else
        EXPECT_EQ(m.fds.size(), 1u);
      got++;
    }
    if (!p.server.wants_write()) break;
    ASSERT_NE(p.server.Flush(), SendStatus::kFailed);
  }
  EXPECT_EQ(got, count);
}

TEST(Connection, DoesNotSendWhatThePeerWouldRefuse) {
  Peers p;
  EXPECT_EQ(p.server.Send(SurfaceMessage(2), Files(1)), SendStatus::kFailed);
  EXPECT_EQ(p.server.error().code, SB_SURFACE_ERROR_BAD_FDS);
  Peers q;
  EXPECT_EQ(q.client.Send(Make<sb_ok>(SB_MSG_OK)), SendStatus::kFailed);
  EXPECT_EQ(q.client.error().code, SB_SURFACE_ERROR_BAD_TYPE);
}

TEST(Connection, AReasonCanBeSentAfterABadMessageAndReadAfterAFailedWrite) {
  Peers p;
  const uint8_t junk[16] = {1, 2, 3};
  RawSend(p.client.fd(), junk);
  Message m;
  EXPECT_EQ(p.server.Receive(m), ReceiveStatus::kFailed);
  auto error = Make<sb_error>(SB_MSG_ERROR);
  error.code = p.server.error().code;
  error.fatal = 1;
  SetText(error.text, "no");
  EXPECT_EQ(p.server.Send(error), SendStatus::kSent);
  ::shutdown(p.server.fd(), SHUT_RDWR);
  EXPECT_EQ(p.client.Send(Make<sb_unsubscribe>(SB_MSG_UNSUBSCRIBE, 1)), SendStatus::kFailed);
  ASSERT_EQ(p.client.Receive(m), ReceiveStatus::kMessage);
  EXPECT_EQ(Text(m.As<sb_error>().text), "no");
}

TEST(Message, TextIsCutAtAWholeCharacter) {
  char field[4];
  SetText(field, "ab\xc3\xa4");
  EXPECT_EQ(Text(field), "ab");
  SetText(field, "abc");
  EXPECT_EQ(Text(field), "abc");
}

}  // namespace
}  // namespace scanbridge::surface::test
