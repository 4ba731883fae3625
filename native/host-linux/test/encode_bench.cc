// SPDX-License-Identifier: Apache-2.0
// Measures an engine: surfaces through a real socket, as fast as a 60 Hz desktop sends them, with
// all of the picture or a window in it changing.
//
//   cmake -S native/host-linux -B BUILD -DSCANBRIDGE_TESTS=ON -DCMAKE_BUILD_TYPE=Release && cmake
//   --build BUILD BUILD/test/encode_bench [seconds]
//
// Prints one JSON object. cpu_ms_per_frame is user and system time of the engine's process, without
// the painter, which is a child process; latency is from the arrival of the frame's message to its
// access unit.
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "engine/engine.h"
#include "producer.h"

namespace scanbridge::host::test {
namespace {

constexpr uint64_t kInterval = 1'000'000'000 / 60;

class Discard final : public EventSink {
 public:
  void Push(EngineEvent) override {}
  bool WantsVideo() const override { return true; }
  bool Full() const override { return false; }
};

double CpuMilliseconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

/// A desktop: text-like stripes that scroll in a rectangle; two surfaces are flipped, and all is
/// reported as damage, as QEMU does.
void Paint(Producer& producer, uint32_t width, uint32_t height, sb_rect window, int seconds) {
  if (!producer.Serve()) std::exit(1);
  SharedPixels one(width, height);
  SharedPixels two(width, height);
  SharedPixels* const surfaces[] = {&one, &two};
  for (uint32_t i = 0; i < 2; i++) {
    surfaces[i]->Fill(0xe0e0e0);
    producer.Surface(i + 1, *surfaces[i]);
  }
  uint64_t sequence = 0;
  bool outstanding = false;
  uint64_t next = MonotonicNow();
  const uint64_t end = next + static_cast<uint64_t>(seconds) * 1'000'000'000;
  while (next < end) {
    SharedPixels& pixels = *surfaces[sequence % 2];
    const auto shift = static_cast<uint32_t>(sequence) * 2;
    for (uint32_t y = window.y; y < window.y + window.height; y++) {
      for (uint32_t x = window.x; x < window.x + window.width; x++) {
        const uint32_t line = (y + shift) / 16;
        const bool ink = (y + shift) % 16 < 11 && ((x / 2) * 2654435761u + line * 40503u) % 7 < 3;
        const uint32_t colour = ink ? 0x202040 : 0xf8f8f8;
        std::memcpy(pixels.At(x, y), &colour, 4);
      }
    }
    const uint64_t now = MonotonicNow();
    if (now < next) std::this_thread::sleep_for(std::chrono::nanoseconds(next - now));
    next += kInterval;
    sequence++;
    if (outstanding) outstanding = !producer.Expect<sb_release>(SB_MSG_RELEASE, 0);
    if (outstanding) continue;
    producer.Frame(sequence, static_cast<uint32_t>((sequence - 1) % 2) + 1, pixels);
    outstanding = true;
  }
}

void Measure(const char* name, const char* engine_name, uint32_t width, uint32_t height,
             sb_rect window, int seconds, bool last) {
  Producer producer;
  const pid_t painter = ::fork();
  if (painter == 0) {
    Paint(producer, width, height, window, seconds);
    std::_Exit(0);
  }
  EngineOptions options;
  options.source = SurfaceTarget{producer.path(), ScanoutTarget{0}, false};
  options.engine = engine_name;
  options.bitrate_kbps = 8000;
  options.max_fps = 60;
  Discard sink;
  const double before = CpuMilliseconds();
  Engine engine(options, sink);
  int status = 0;
  ::waitpid(painter, &status, 0);
  const double cpu = CpuMilliseconds() - before;
  const EngineStats s = engine.stats();
  std::printf(
      "{\"case\":\"%s\",\"metrics\":{\"fps\":%.1f,\"dropped\":%llu,\"cpu_ms_per_frame\":%.2f,"
      "\"convert_ms_p50\":%.3f,\"convert_ms_p95\":%.3f,\"encode_ms_p50\":%.3f,\"encode_ms_p95\":%."
      "3f,"
      "\"latency_ms_p50\":%.3f,\"latency_ms_p95\":%.3f,\"kbit_per_s\":%.0f}}%s",
      name, static_cast<double>(s.video.encoded) / seconds,
      static_cast<unsigned long long>(s.dropped_before_encode),
      cpu / static_cast<double>(std::max<uint64_t>(s.video.encoded, 1)), s.convert.p50 / 1e3,
      s.convert.p95 / 1e3, s.video.encode.p50 / 1e3, s.video.encode.p95 / 1e3,
      s.video.latency.p50 / 1e3, s.video.latency.p95 / 1e3,
      static_cast<double>(s.video.bytes) * 8 / 1000 / seconds, last ? "" : ",");
}

}  // namespace
}  // namespace scanbridge::host::test

int main(int argc, char** argv) {
  using scanbridge::host::test::Measure;
  scanbridge::host::InitGStreamer();
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 5;
  std::printf("{\"bench\":\"engine\",\"cases\":[");
  Measure("x264-720p60-all", "x264", 1280, 720, {0, 0, 1280, 720}, seconds, false);
  Measure("x264-720p60-window", "x264", 1280, 720, {200, 100, 640, 360}, seconds, false);
  Measure("x264-1080p60-window", "x264", 1920, 1080, {200, 100, 640, 360}, seconds, false);
  Measure("openh264-720p60-window", "openh264", 1280, 720, {200, 100, 640, 360}, seconds, true);
  std::printf("]}\n");
}
