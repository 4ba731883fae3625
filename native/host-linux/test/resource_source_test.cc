// SPDX-License-Identifier: Apache-2.0
// Pictures by resource id, from the real server side of the surface protocol.
#include "engine/resource_source.h"

#include <gtest/gtest.h>

#include "producer.h"

namespace scanbridge::host::test {
namespace {

constexpr uint32_t kWidth = 200;
constexpr uint32_t kHeight = 100;
constexpr uint64_t kCapabilities =
    SB_CAPABILITY_MEMFD | SB_CAPABILITY_RESOURCES | SB_CAPABILITY_REFRESH;

class Collector final : public EventSink {
 public:
  void Push(EngineEvent event) override {
    if (auto* const released = std::get_if<ReleasedEvent>(&event)) {
      this->released.push_back(released->token);
    } else if (auto* const refused = std::get_if<RefusedEvent>(&event)) {
      this->refused.push_back(std::move(*refused));
    }
  }
  bool WantsVideo() const override { return true; }
  bool Full() const override { return false; }

  std::vector<uint32_t> released;
  std::vector<RefusedEvent> refused;
};

class Nobody final : public SourceObserver {
  void OnSourceState(EngineState) override {}
  void OnSourceReset(sb_reset_reason) override {}
  void OnSourceCursor(CursorEvent) override {}
};

ResourceLayout Layout(uint32_t id, bool backing = false) {
  ResourceLayout layout;
  layout.request.resource = id;
  layout.request.width = kWidth;
  layout.request.height = kHeight;
  layout.request.format = DRM_FORMAT_XRGB8888;
  layout.request.stride = kWidth * 4;
  layout.backing = backing;
  return layout;
}

/// What a REFRESH asked for.
struct Asked {
  sb_refresh fixed;
  std::vector<sb_rect> damage;
};

class ResourceSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_FALSE(source.Open());
    producer.Accept();
    ASSERT_TRUE(producer.Expect<sb_hello>(SB_MSG_HELLO));
  }

  void Greet(uint64_t capabilities = kCapabilities) {
    auto reply = surface::Make<sb_hello_reply>(SB_MSG_HELLO_REPLY);
    reply.magic = SB_SURFACE_MAGIC;
    reply.version_major = SB_SURFACE_VERSION_MAJOR;
    reply.version_minor = SB_SURFACE_VERSION_MINOR;
    reply.capabilities = capabilities;
    reply.max_streams = SB_MAX_STREAMS;
    producer.connection().Send(reply);
    Dispatch();
  }

  /// All that the producer has sent is handled; the source is not over.
  void Dispatch() {
    pollfd polled{source.fd(), POLLIN, 0};
    (void)::poll(&polled, 1, 50);
    end = source.Dispatch(observer);
  }

  /// The source subscribes to `ids`; granted, each with a surface of its pixels.
  void Grant(std::initializer_list<uint32_t> ids) {
    std::vector<uint32_t> serials;
    for (const uint32_t id : ids) {
      const auto request = producer.Expect<sb_subscribe_resource>(SB_MSG_SUBSCRIBE_RESOURCE);
      ASSERT_TRUE(request);
      ASSERT_EQ(request->resource, id);
      streams[id] = request->header.stream;
      serials.push_back(request->header.serial);
    }
    auto serial = serials.begin();
    for (const uint32_t id : ids) {
      producer.connection().Send(surface::Make<sb_ok>(SB_MSG_OK, 0, *serial++));
      producer.set_stream(streams[id]);
      producer.Surface(1, pixels);
      // The present picture, which may be half drawn: it is released unread.
      Answer(id, 1, 0);
      EXPECT_TRUE(Released(id, 1));
      EXPECT_EQ(source.pending(), nullptr);
    }
  }
  void Grant(uint32_t id) { Grant({id}); }

  std::optional<Asked> AwaitRefresh(int milliseconds = 5000) {
    surface::Message message;
    while (producer.connection().Receive(message) == surface::ReceiveStatus::kWouldBlock) {
      pollfd polled{producer.connection().fd(), POLLIN, 0};
      if (::poll(&polled, 1, milliseconds) <= 0) return std::nullopt;
    }
    if (message.header().type != SB_MSG_REFRESH) return std::nullopt;
    Asked asked{message.As<sb_refresh>(), {}};
    for (uint32_t i = 0; i < asked.fixed.damage_count; i++) {
      std::memcpy(&asked.damage.emplace_back(), &message.Tail<sb_refresh>()[i * sizeof(sb_rect)],
                  sizeof(sb_rect));
    }
    return asked;
  }

  void Answer(uint32_t id, uint64_t sequence, uint32_t refresh) {
    producer.set_stream(streams[id]);
    auto frame = producer.DescribeFrame(sequence, 1, {0, 0, kWidth, kHeight});
    frame.refresh = refresh;
    producer.Frame(frame);
    Dispatch();
  }

  uint8_t TakeFirstByte() {
    uint8_t value = 0;
    EXPECT_TRUE(source.Take([&](const PixelView& view) { value = *view.data; }));
    return value;
  }

  bool Released(uint32_t id, uint64_t sequence) {
    const auto release = producer.Expect<sb_release>(SB_MSG_RELEASE);
    return release && release->header.stream == streams[id] && release->sequence == sequence;
  }

  Producer producer;
  Collector sink;
  ResourceFeed feed;
  Nobody observer;
  ResourceSource source{{producer.path()}, feed, sink};
  SharedPixels pixels{kWidth, kHeight};
  std::map<uint32_t, uint32_t> streams;
  std::optional<FrameSource::End> end;
};

TEST_F(ResourceSourceTest, ReadsTheShownFrameAndNoOther) {
  Greet();
  feed.Add(Layout(41, true));
  feed.Show({7, 41, 1000, std::nullopt});
  Dispatch();
  Grant(41);
  const auto asked = AwaitRefresh();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->fixed.flags, uint32_t{SB_REFRESH_FLAG_BACKING});
  // Nor is one that the exporter sends by itself read.
  Answer(41, 2, 0);
  EXPECT_EQ(source.pending(), nullptr);
  EXPECT_TRUE(Released(41, 2));
  EXPECT_TRUE(sink.released.empty());
  pixels.Fill(0x55555555);
  Answer(41, 3, asked->fixed.header.serial);
  ASSERT_NE(source.pending(), nullptr);
  EXPECT_EQ(source.pending()->pts, 1000u);
  EXPECT_EQ(source.pending()->width, kWidth);
  EXPECT_TRUE(sink.released.empty());
  EXPECT_EQ(TakeFirstByte(), 0x55);
  EXPECT_TRUE(Released(41, 3));
  EXPECT_EQ(sink.released, std::vector<uint32_t>{7});
  EXPECT_FALSE(end);
}

TEST_F(ResourceSourceTest, AsksForWhatChangedSinceThatResourceWasRead) {
  Greet();
  feed.Add(Layout(1));
  feed.Add(Layout(2));
  Dispatch();
  Grant({1, 2});
  uint32_t token = 0;
  std::map<uint32_t, uint64_t> sequence{{1, 1}, {2, 1}};
  const auto show = [&](uint32_t id, sb_rect damage) {
    feed.Show({++token, id, token, damage});
    Dispatch();
    const auto asked = AwaitRefresh();
    EXPECT_TRUE(asked);
    EXPECT_EQ(asked->fixed.flags, 0u);
    Answer(id, ++sequence[id], asked->fixed.header.serial);
    EXPECT_NE(source.pending(), nullptr);
    const size_t tiles = source.pending()->candidates.count();
    TakeFirstByte();
    EXPECT_TRUE(Released(id, sequence[id]));
    const sb_rect whole{0, 0, kWidth, kHeight};
    return std::pair(asked->damage.empty() ? whole : asked->damage[0], tiles);
  };
  const auto equal = [](const sb_rect& a, const sb_rect& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
  };
  const sb_rect all{0, 0, kWidth, kHeight};
  EXPECT_TRUE(equal(show(1, {0, 0, 10, 10}).first, all));
  EXPECT_TRUE(equal(show(2, {20, 0, 10, 10}).first, all));
  // Resource 1 lacks what was drawn into 2, and the picture has changed in one tile.
  const auto [third, tiles] = show(1, {40, 0, 10, 10});
  EXPECT_TRUE(equal(third, {20, 0, 30, 10}));
  EXPECT_EQ(tiles, 1u);
  // A part outside of the picture is cut off; one that lies outside as a whole tells nothing.
  EXPECT_TRUE(equal(show(1, {190, 90, 100, 100}).first, {190, 90, 10, 10}));
  EXPECT_EQ(show(1, {16383, 16383, 16384, 16384}).second, 8u);
}

TEST_F(ResourceSourceTest, ANewerFrameTakesThePlaceOfOneThatIsNotRead) {
  Greet();
  feed.Add(Layout(1));
  feed.Add(Layout(2));
  Dispatch();
  Grant({1, 2});
  feed.Show({1, 1, 10, sb_rect{0, 0, 8, 8}});
  Dispatch();
  const auto first = AwaitRefresh();
  ASSERT_TRUE(first);
  feed.Show({2, 2, 20, sb_rect{190, 90, 8, 8}});
  Dispatch();
  EXPECT_EQ(sink.released, std::vector<uint32_t>{1});
  const auto second = AwaitRefresh();
  ASSERT_TRUE(second);
  Answer(1, 2, first->fixed.header.serial);
  EXPECT_EQ(source.pending(), nullptr);
  EXPECT_TRUE(Released(1, 2));
  Answer(2, 2, second->fixed.header.serial);
  ASSERT_NE(source.pending(), nullptr);
  EXPECT_EQ(source.pending()->pts, 20u);
  EXPECT_EQ(source.pending()->replaced, 1u);
  // The union of both.
  EXPECT_EQ(source.pending()->candidates.count(), 8u);
  TakeFirstByte();
  EXPECT_EQ(sink.released, (std::vector<uint32_t>{1, 2}));
  // Two that come before the engine looks: the first is given back by the feed.
  EXPECT_FALSE(feed.Show({3, 1, 30, sb_rect{0, 0, 8, 8}}));
  const auto replaced = feed.Show({4, 1, 40, sb_rect{0, 0, 8, 8}});
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced->token, 3u);
}

TEST_F(ResourceSourceTest, AResourceThatTheExporterDoesNotHaveIsRefusedAndItsFramesReleased) {
  Greet();
  feed.Add(Layout(9));
  feed.Show({1, 9, 10, std::nullopt});
  Dispatch();
  const auto request = producer.Expect<sb_subscribe_resource>(SB_MSG_SUBSCRIBE_RESOURCE);
  ASSERT_TRUE(request);
  auto error = surface::Make<sb_error>(SB_MSG_ERROR, 0, request->header.serial);
  error.code = SB_SURFACE_ERROR_NO_SUCH_RESOURCE;
  surface::SetText(error.text, "there is no resource 9");
  producer.connection().Send(error);
  Dispatch();
  ASSERT_EQ(sink.refused.size(), 1u);
  EXPECT_EQ(sink.refused[0].resource, 9u);
  EXPECT_EQ(sink.refused[0].error.code, "SURFACE_NO_SUCH_RESOURCE");
  EXPECT_EQ(sink.released, std::vector<uint32_t>{1});
  feed.Show({2, 9, 20, std::nullopt});
  Dispatch();
  EXPECT_EQ(sink.released, (std::vector<uint32_t>{1, 2}));
  // Never said at all.
  feed.Show({3, 10, 30, std::nullopt});
  Dispatch();
  EXPECT_EQ(sink.released, (std::vector<uint32_t>{1, 2, 3}));
  EXPECT_FALSE(end);
  // Said once more: the guest may have one with this id by now.
  feed.Add(Layout(9));
  feed.Show({4, 9, 40, std::nullopt});
  Dispatch();
  Grant(9);
  EXPECT_TRUE(AwaitRefresh());
}

TEST_F(ResourceSourceTest, AResourceThatIsTakenBackLosesItsStreamAndItsFrames) {
  Greet();
  feed.Add(Layout(1));
  feed.Show({1, 1, 10, std::nullopt});
  Dispatch();
  Grant(1);
  const auto asked = AwaitRefresh();
  ASSERT_TRUE(asked);
  Answer(1, 2, asked->fixed.header.serial);
  ASSERT_NE(source.pending(), nullptr);
  feed.Remove(1);
  Dispatch();
  EXPECT_EQ(source.pending(), nullptr);
  EXPECT_EQ(sink.released, std::vector<uint32_t>{1});
  EXPECT_TRUE(Released(1, 2));
  const auto gone = producer.Expect<sb_unsubscribe>(SB_MSG_UNSUBSCRIBE);
  ASSERT_TRUE(gone);
  producer.connection().Send(surface::Make<sb_ok>(SB_MSG_OK, 0, gone->header.serial));
  // Freed by the guest without a word.
  feed.Add(Layout(2));
  feed.Show({2, 2, 20, std::nullopt});
  Dispatch();
  Grant(2);
  ASSERT_TRUE(AwaitRefresh());
  auto over = surface::Make<sb_stream_end>(SB_MSG_STREAM_END, streams[2]);
  over.code = SB_SURFACE_ERROR_NO_SUCH_RESOURCE;
  producer.connection().Send(over);
  Dispatch();
  EXPECT_EQ(sink.released, (std::vector<uint32_t>{1, 2}));
  ASSERT_EQ(sink.refused.size(), 1u);
  EXPECT_FALSE(end);
}

TEST_F(ResourceSourceTest, OtherPixelsWithTheSameIdGetAStreamOfTheirOwn) {
  Greet();
  feed.Add(Layout(1));
  Dispatch();
  Grant(1);
  const uint32_t before = streams[1];
  feed.Add(Layout(1));
  Dispatch();
  ResourceLayout larger = Layout(1);
  larger.request.stride *= 2;
  feed.Add(larger);
  Dispatch();
  // The first Add said nothing new.
  const auto gone = producer.Expect<sb_unsubscribe>(SB_MSG_UNSUBSCRIBE);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->header.stream, before);
  const auto request = producer.Expect<sb_subscribe_resource>(SB_MSG_SUBSCRIBE_RESOURCE);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->stride, kWidth * 8);
}

TEST_F(ResourceSourceTest, PicturesDoNotGoBackInTime) {
  Greet();
  feed.Add(Layout(1));
  Dispatch();
  Grant(1);
  for (uint64_t i = 2; i <= 3; i++) {
    feed.Show({static_cast<uint32_t>(i), 1, i == 2 ? 500u : 400u, std::nullopt});
    Dispatch();
    const auto asked = AwaitRefresh();
    ASSERT_TRUE(asked);
    Answer(1, i, asked->fixed.header.serial);
    ASSERT_NE(source.pending(), nullptr);
    EXPECT_EQ(source.pending()->pts, 500u);
    TakeFirstByte();
    EXPECT_TRUE(Released(1, i));
  }
}

TEST_F(ResourceSourceTest, ARefreshThatIsNotHeededIsSentAgain) {
  Greet();
  feed.Add(Layout(1));
  feed.Show({1, 1, 10, sb_rect{0, 0, 8, 8}});
  Dispatch();
  Grant(1);
  const auto first = AwaitRefresh();
  ASSERT_TRUE(first);
  EXPECT_NE(source.wake_at(), FrameSource::kNever);
  const uint64_t due = source.wake_at();
  while (MonotonicNow() <= due) Dispatch();
  Dispatch();
  const auto second = AwaitRefresh();
  ASSERT_TRUE(second);
  EXPECT_GT(second->fixed.header.serial, first->fixed.header.serial);
  Answer(1, 2, second->fixed.header.serial);
  EXPECT_NE(source.pending(), nullptr);
  EXPECT_EQ(source.wake_at(), FrameSource::kNever);
}

TEST_F(ResourceSourceTest, AtMostThirtyTwoResources) {
  for (uint32_t id = 1; id <= SB_MAX_STREAMS; id++) EXPECT_TRUE(feed.Add(Layout(id)));
  EXPECT_FALSE(feed.Add(Layout(SB_MAX_STREAMS + 1)));
  EXPECT_TRUE(feed.Add(Layout(1)));
  feed.Remove(1);
  EXPECT_TRUE(feed.Add(Layout(SB_MAX_STREAMS + 1)));
}

TEST_F(ResourceSourceTest, AnExporterWithoutRefreshIsTooOld) {
  Greet(SB_CAPABILITY_MEMFD | SB_CAPABILITY_RESOURCES);
  ASSERT_TRUE(end);
  ASSERT_TRUE(end->error);
  EXPECT_EQ(end->error->code, "SURFACE_UNSUPPORTED");
}

}  // namespace
}  // namespace scanbridge::host::test
