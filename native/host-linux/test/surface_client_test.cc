// SPDX-License-Identifier: Apache-2.0
// The surface client against the real server side of the protocol, obedient and hostile.
#include "surface/surface_client.h"

#include <gtest/gtest.h>

#include <functional>

#include "producer.h"

namespace scanbridge::host::test {
namespace {

struct Recorder final : SurfaceObserver {
  void OnHello(const sb_hello_reply& hello) override { hellos.push_back(hello); }
  void OnAnswer(const SurfaceAnswer& answer) override { answers.push_back(answer); }
  void OnScanoutInfo(const sb_scanout_info& info) override { infos.push_back(info); }
  void OnFrame(const SurfaceFrame& frame) override { frames.push_back(frame); }
  void OnCursor(uint32_t, const sb_cursor& cursor, std::span<const uint8_t> pixels) override {
    cursors.push_back(cursor);
    cursor_bytes = pixels.size();
  }
  void OnReset(uint32_t, sb_reset_reason reason) override { resets.push_back(reason); }
  void OnState(uint32_t, sb_stream_state state) override { states.push_back(state); }
  void OnStreamEnd(uint32_t, const std::optional<EngineError>& error) override {
    ends.push_back(error ? error->code : "");
  }

  std::vector<sb_hello_reply> hellos;
  std::vector<SurfaceAnswer> answers;
  std::vector<sb_scanout_info> infos;
  std::vector<SurfaceFrame> frames;
  std::vector<sb_cursor> cursors;
  size_t cursor_bytes = 0;
  std::vector<sb_reset_reason> resets;
  std::vector<sb_stream_state> states;
  std::vector<std::string> ends;
};

class SurfaceClientTest : public testing::Test {
 protected:
  void SetUp() override {
    auto connected = SurfaceClient::Connect(producer.path(), "a test");
    client = std::get<std::unique_ptr<SurfaceClient>>(std::move(connected));
    producer.Accept();
    const auto hello = producer.Expect<sb_hello>(SB_MSG_HELLO);
    ASSERT_TRUE(hello);
    EXPECT_EQ(surface::Text(hello->name), "a test");
  }

  /// Handles what is there; the error's code when the connection ends.
  std::string Dispatch() {
    const auto error = client->Dispatch(seen);
    return error ? error->code : "";
  }

  /// Greets and opens a stream.
  void Open() {
    producer.Hello();
    EXPECT_EQ(Dispatch(), "");
    const auto request = client->SubscribeScanout(0, true);
    ASSERT_TRUE(request);
    const auto subscribe = producer.Expect<sb_subscribe_scanout>(SB_MSG_SUBSCRIBE_SCANOUT);
    ASSERT_TRUE(subscribe);
    EXPECT_EQ(subscribe->flags, SB_SUBSCRIBE_FLAG_CURSOR);
    producer.set_stream(subscribe->header.stream);
    producer.connection().Send(surface::Make<sb_ok>(SB_MSG_OK, 0, request->serial));
    producer.State(SB_STREAM_STATE_ACTIVE);
    EXPECT_EQ(Dispatch(), "");
    ASSERT_EQ(seen.answers.size(), 1u);
    ASSERT_EQ(seen.states.size(), 1u);
  }

  Producer producer;
  SharedPixels pixels{64, 48};
  Recorder seen;
  std::unique_ptr<SurfaceClient> client;
};

TEST_F(SurfaceClientTest, TakesFramesAndReleasesThem) {
  Open();
  producer.Surface(3, pixels);
  producer.Frame(5, 3, pixels, {{1, 2, 3, 4}});
  EXPECT_EQ(Dispatch(), "");
  ASSERT_EQ(seen.frames.size(), 1u);
  const SurfaceFrame& frame = seen.frames[0];
  EXPECT_EQ(frame.damage_count, 1u);
  EXPECT_EQ(frame.damage[0].height, 4u);
  EXPECT_GE(frame.received_at, frame.pts);
  EXPECT_NE(client->Outstanding(frame.stream, 5), nullptr);
  client->Release(frame.stream, 5);
  client->Release(frame.stream, 5);
  const auto release = producer.Expect<sb_release>(SB_MSG_RELEASE);
  ASSERT_TRUE(release);
  EXPECT_EQ(release->sequence, 5u);
  EXPECT_FALSE(producer.Expect<sb_release>(SB_MSG_RELEASE, 50)) << "released once";
}

TEST_F(SurfaceClientTest, ASurfaceOutlivesItsEndForWhoHoldsTheFrame) {
  Open();
  pixels.Fill(0x123456);
  producer.Surface(3, pixels);
  producer.Frame(1, 3, pixels);
  auto gone = surface::Make<sb_surface_gone>(SB_MSG_SURFACE_GONE, producer.stream());
  gone.surface = 3;
  producer.connection().Send(gone);
  EXPECT_EQ(Dispatch(), "");
  uint32_t pixel = 0;
  EXPECT_TRUE(seen.frames[0].memory->Read(
      {0, 0, 1, 1}, [&](const PixelView& view) { std::memcpy(&pixel, view.data, 4); }));
  EXPECT_EQ(pixel, 0x123456u);
}

TEST_F(SurfaceClientTest, AResetReleasesAndAStreamEndTellsWhy) {
  Open();
  producer.Surface(3, pixels);
  producer.Frame(1, 3, pixels);
  auto reset = surface::Make<sb_reset>(SB_MSG_RESET, producer.stream());
  reset.reason = SB_RESET_REASON_GUEST_RESET;
  producer.connection().Send(reset);
  producer.Surface(3, pixels);
  producer.Frame(2, 3, pixels);
  EXPECT_EQ(Dispatch(), "");
  EXPECT_EQ(seen.frames.size(), 2u);
  client->Release(seen.frames[0].stream, 1);
  EXPECT_FALSE(producer.Expect<sb_release>(SB_MSG_RELEASE, 50));
  auto end = surface::Make<sb_stream_end>(SB_MSG_STREAM_END, producer.stream());
  end.code = SB_SURFACE_ERROR_NO_SUCH_RESOURCE;
  surface::SetText(end.text, "The guest freed it.");
  producer.connection().Send(end);
  EXPECT_EQ(Dispatch(), "");
  EXPECT_EQ(seen.ends, std::vector<std::string>{"SURFACE_NO_SUCH_RESOURCE"});
}

TEST_F(SurfaceClientTest, NothingComesAfterUnsubscribe) {
  Open();
  producer.Surface(3, pixels);
  EXPECT_EQ(Dispatch(), "");
  const auto request = client->Unsubscribe(producer.stream());
  ASSERT_TRUE(request);
  producer.Frame(1, 3, pixels);  // Crosses it on its way.
  producer.connection().Send(surface::Make<sb_ok>(SB_MSG_OK, 0, request->serial));
  EXPECT_EQ(Dispatch(), "");
  EXPECT_TRUE(seen.frames.empty());
  EXPECT_EQ(seen.answers.size(), 2u);
  producer.Frame(2, 3, pixels);
  EXPECT_EQ(Dispatch(), "SURFACE_BAD_STREAM");
}

TEST_F(SurfaceClientTest, ARefusedRequestIsNotTheEnd) {
  producer.Hello();
  EXPECT_EQ(Dispatch(), "");
  const auto request = client->SubscribeCapture(9, false);
  auto error = surface::Make<sb_error>(SB_MSG_ERROR, 0, request->serial);
  error.code = SB_SURFACE_ERROR_NO_SUCH_CAPTURE;
  surface::SetText(error.text, "No capture has the id 9.");
  producer.connection().Send(error);
  EXPECT_EQ(Dispatch(), "");
  ASSERT_TRUE(seen.answers[0].error);
  EXPECT_EQ(seen.answers[0].error->code, "SURFACE_NO_SUCH_CAPTURE");
  EXPECT_EQ(seen.answers[0].error->message, "No capture has the id 9.");
  EXPECT_TRUE(client->Ping());
}

TEST_F(SurfaceClientTest, ForwardsCursorAndScanoutInfo) {
  Open();
  auto info = surface::Make<sb_scanout_info>(SB_MSG_SCANOUT_INFO);
  info.width = 800;
  producer.connection().Send(info);
  auto cursor = surface::Make<sb_cursor>(SB_MSG_CURSOR, producer.stream());
  cursor.flags = SB_CURSOR_FLAG_VISIBLE | SB_CURSOR_FLAG_SHAPE;
  cursor.width = cursor.height = 2;
  cursor.pixel_bytes = 16;
  cursor.x = -3;
  cursor.header.length += 16;
  std::vector<uint8_t> bytes(cursor.header.length, 9);
  std::memcpy(bytes.data(), &cursor, sizeof cursor);
  producer.connection().Send(bytes);
  EXPECT_EQ(Dispatch(), "");
  EXPECT_EQ(seen.infos[0].width, 800u);
  EXPECT_EQ(seen.cursors[0].x, -3);
  EXPECT_EQ(seen.cursor_bytes, 16u);
}

TEST_F(SurfaceClientTest, LimitsItsRequestsAndStreams) {
  producer.Hello();
  EXPECT_EQ(Dispatch(), "");
  for (uint32_t i = 0; i < SB_MAX_STREAMS; i++) EXPECT_TRUE(client->SubscribeScanout(i, false));
  EXPECT_FALSE(client->SubscribeScanout(0, false));
  while (client->Ping()) continue;
  EXPECT_FALSE(client->Ping());
}

TEST_F(SurfaceClientTest, SaysWhyTheProducerClosed) {
  auto error = surface::Make<sb_error>(SB_MSG_ERROR);
  error.code = SB_SURFACE_ERROR_DENIED;
  error.fatal = 1;
  producer.connection().Send(error);
  producer.Hang();
  EXPECT_EQ(Dispatch(), "SURFACE_DENIED");
}

TEST_F(SurfaceClientTest, NoticesAnEndInEveryState) {
  producer.Hang();
  EXPECT_EQ(Dispatch(), "SURFACE_CLOSED");
}

// What no obedient producer does. Each ends the connection with the code.
TEST_F(SurfaceClientTest, RefusesToBeSpokenToBeforeTheHello) {
  producer.connection().Send(surface::Make<sb_ok>(SB_MSG_OK));
  EXPECT_EQ(Dispatch(), "SURFACE_BAD_STATE");
}

TEST_F(SurfaceClientTest, RefusesOtherProtocolsAndVersions) {
  auto reply = surface::Make<sb_hello_reply>(SB_MSG_HELLO_REPLY);
  reply.magic = SB_SURFACE_MAGIC;
  reply.version_major = 2;
  producer.connection().Send(reply);
  EXPECT_EQ(Dispatch(), "SURFACE_BAD_VERSION");
}

struct Crime {
  const char* name;
  const char* code;
  std::function<void(Producer&, SharedPixels&)> act;
};

class HostileProducer : public SurfaceClientTest, public testing::WithParamInterface<Crime> {};

TEST_P(HostileProducer, EndsTheConnection) {
  Open();
  producer.Surface(1, pixels);
  EXPECT_EQ(Dispatch(), "");
  GetParam().act(producer, pixels);
  EXPECT_EQ(Dispatch(), GetParam().code);
}

sb_frame FrameWith(const Producer& producer, sb_rect crop) {
  return producer.DescribeFrame(10, 1, crop);
}

const Crime kCrimes[] = {
    {"SecondHello", "SURFACE_BAD_STATE", [](Producer& p, SharedPixels&) { p.Hello(); }},
    {"UnknownAnswer", "SURFACE_BAD_STATE",
     [](Producer& p, SharedPixels&) {
       p.connection().Send(surface::Make<sb_ok>(SB_MSG_OK, 0, 77));
     }},
    {"UnknownStream", "SURFACE_BAD_STREAM",
     [](Producer& p, SharedPixels&) {
       p.set_stream(p.stream() + 1);
       p.State(SB_STREAM_STATE_BLANK);
     }},
    {"UnknownSurface", "SURFACE_BAD_VALUE", [](Producer& p, SharedPixels& s) { p.Frame(1, 2, s); }},
    {"SurfaceTwice", "SURFACE_BAD_VALUE", [](Producer& p, SharedPixels& s) { p.Surface(1, s); }},
    {"GoneTwice", "SURFACE_BAD_VALUE",
     [](Producer& p, SharedPixels&) {
       auto gone = surface::Make<sb_surface_gone>(SB_MSG_SURFACE_GONE, p.stream());
       gone.surface = 9;
       p.connection().Send(gone);
     }},
    {"FrameBeforeRelease", "SURFACE_BAD_STATE",
     [](Producer& p, SharedPixels& s) {
       p.Frame(1, 1, s);
       p.Frame(2, 1, s);
     }},
    {"SequenceZero", "SURFACE_BAD_VALUE", [](Producer& p, SharedPixels& s) { p.Frame(0, 1, s); }},
    {"CropOutside", "SURFACE_BAD_VALUE",
     [](Producer& p, SharedPixels&) {
       p.Frame(FrameWith(p, {1, 0, 64, 48}));
     }},
    {"CropFarOutside", "SURFACE_BAD_VALUE",
     [](Producer& p, SharedPixels&) {
       p.Frame(FrameWith(p, {16384, 16384, 1, 1}));
     }},
    {"DamageOutside", "SURFACE_BAD_VALUE",
     [](Producer& p, SharedPixels&) {
       p.Frame(FrameWith(p, {0, 0, 64, 48}), {{0, 0, 64, 49}});
     }},
    {"TooManySurfaces", "SURFACE_TOO_MANY",
     [](Producer& p, SharedPixels& s) {
       for (uint32_t id = 2; id <= SB_MAX_SURFACES + 1; id++) p.Surface(id, s);
     }},
    {"SurfaceWithoutDescriptor", "SURFACE_BAD_VALUE",
     [](Producer& p, SharedPixels& s) {
       sb_surface message = p.Describe(2, s);
       message.header.fd_count = 0;
       p.connection().Send(message);
     }},
};

INSTANTIATE_TEST_SUITE_P(Crimes, HostileProducer, testing::ValuesIn(kCrimes),
                         [](const auto& info) { return info.param.name; });

TEST(SurfaceClientConnect, SaysThatNobodyListens) {
  const auto connected = SurfaceClient::Connect("/tmp/scanbridge-nobody-listens", "x");
  const auto& error = std::get<EngineError>(connected);
  EXPECT_EQ(error.code, "SURFACE_CONNECT");
  EXPECT_NE(error.message.find("/tmp/scanbridge-nobody-listens"), std::string::npos);
  EXPECT_FALSE(error.remedy.empty());
}

}  // namespace
}  // namespace scanbridge::host::test
