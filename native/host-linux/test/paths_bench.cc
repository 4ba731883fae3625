// SPDX-License-Identifier: Apache-2.0
// What each chain of elements costs this process, and how long a switch from one to the next takes;
// with the fake GPU, whose own work is told apart. Prints one JSON object a case.
// bench/src/engine-paths.ts runs it.
//   paths_bench [PICTURES]
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <cstdio>

#include "collector.h"
#include "engine/engine.h"
#include "fake_gpu.h"
#include "producer.h"

namespace scanbridge::host::test {
namespace {

constexpr uint32_t kWidth = 1280;
constexpr uint32_t kHeight = 720;

struct Chain {
  const char* name;
  const char* families;
  bool dmabuf;
  const char* engine;
  const char* path;
};

const Chain kChains[] = {
    {"x264 system-memory (SHM)", "", false, "x264", "system-memory"},
    {"vaapi upload (SHM)", "va", false, "vaapi", "upload"},
    {"vaapi dmabuf (DMA-BUF)", "va", true, "vaapi", "dmabuf"},
    {"nvidia cuda-upload (SHM)", "gl,nvidia", false, "nvidia", "cuda-upload"},
    {"nvidia dmabuf-gl-cuda (DMA-BUF)", "gl,nvidia", true, "nvidia", "dmabuf-gl-cuda"},
    {"qsv system-memory (SHM)", "qsv", false, "qsv", "system-memory"},
    {"vaapi legacy-upload (SHM)", "vaapi", false, "vaapi", "legacy-upload"},
};

uint64_t ProcessTime() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

void Install(const char* families, const char* faults) {
  guint major = 0, minor = 0, micro = 0, nano = 0;
  gst_version(&major, &minor, &micro, &nano);
  const fake_gpu gpu{families, minor < 24 ? "BGRx" : "XR24", faults};
  fake_gpu_install(nullptr, &gpu);
}

/// A producer and an engine, and a picture of which all changes each time.
class Run {
 public:
  Run(const char* engine, bool dmabuf) {
    EngineOptions options;
    options.source = SurfaceTarget{producer_.path(), ScanoutTarget{0}, false};
    options.engine = engine;
    options.bitrate_kbps = 8000;
    options.max_fps = 240;
    engine_.emplace(options, sink);
    if (!producer_.Serve()) std::exit(1);
    sb_surface message = producer_.Describe(1, pixels_);
    if (dmabuf) message.kind = SB_SURFACE_KIND_DMABUF;
    producer_.Surface(message, pixels_.fd());
  }

  /// One picture in, one out, and the memory back. The time it took [ns]; 0: none came.
  uint64_t Step() {
    // Whole rows, little to encode, and every tile touched.
    for (uint32_t row = 0; row < kHeight; row += 8) {
      pixels_.Fill(0, row, kWidth, 1, static_cast<uint32_t>(sequence_) * 0x010101);
    }
    const uint64_t start = MonotonicNow();
    producer_.Frame(sequence_++, 1, pixels_);
    if (!sink.Next()) return 0;
    const uint64_t end = MonotonicNow();
    if (!producer_.Expect<sb_release>(SB_MSG_RELEASE, 20'000)) return 0;
    return end - start;
  }

  EngineStats stats() const { return engine_->stats(); }

  Collector sink;

 private:
  Producer producer_;
  SharedPixels pixels_{kWidth, kHeight};
  std::optional<Engine> engine_;
  uint64_t sequence_ = 1;
};

bool Measure(const Chain& chain, int pictures) {
  Install(chain.families, "");
  Run run(chain.engine, chain.dmabuf);
  for (int i = 0; i < 10; i++) {
    if (run.Step() == 0) return false;
  }
  if (run.sink.chosens.empty() || run.sink.chosens[0].path != chain.path) {
    std::fprintf(stderr, "%s: another path was chosen\n", chain.name);
    return false;
  }
  const EngineStats before = run.stats();
  const uint64_t cpu = ProcessTime();
  const uint64_t gpu = fake_gpu_time();
  uint64_t latency = 0;
  for (int i = 0; i < pictures; i++) latency += run.Step();
  const double spent = static_cast<double>(ProcessTime() - cpu);
  const double fake = static_cast<double>(fake_gpu_time() - gpu);
  const EngineStats after = run.stats();
  std::printf(
      "{\"case\":\"%s\",\"metrics\":{\"copies_per_frame\":%.2f,\"cpu_ms_per_frame\":%.2f,"
      "\"fake_gpu_ms_per_frame\":%.2f,\"latency_ms\":%.2f}}\n",
      chain.name, (after.copies - before.copies) / pictures, (spent - fake) / pictures / 1e6,
      fake / pictures / 1e6, static_cast<double>(latency) / pictures / 1e6);
  return true;
}

/// The longest time without a picture while one path gives way to the next.
bool MeasureSwitch(const char* name, const char* fault, bool dmabuf) {
  Install("va", fault);
  Run run("auto", dmabuf);
  uint64_t gap = 0;
  // The first pictures start the path; the fault comes at the 30th.
  for (int i = 0; i < 40; i++) {
    const uint64_t took = run.Step();
    if (took == 0) return false;
    if (i >= 5) gap = std::max(gap, took);
  }
  if (run.sink.chosens.size() < 2) return false;
  std::printf("{\"case\":\"%s\",\"metrics\":{\"switch_gap_ms\":%.1f}}\n", name,
              static_cast<double>(gap) / 1e6);
  return true;
}

}  // namespace
}  // namespace scanbridge::host::test

int main(int argc, char** argv) {
  using namespace scanbridge::host;
  using namespace scanbridge::host::test;
  const int pictures = argc > 1 ? std::atoi(argv[1]) : 300;
  ::setenv("SCANBRIDGE_FAKE_DMABUF", "1", 1);
  InitGStreamer();
  bool fine = pictures > 0;
  for (const Chain& chain : kChains) fine = fine && Measure(chain, pictures);
  fine = fine && MeasureSwitch("switch after an error (SHM)", "vah264enc=after:30", false) &&
         MeasureSwitch("switch after an error (DMA-BUF)", "vah264enc=after:30", true) &&
         MeasureSwitch("switch after a stall (SHM)", "vah264enc=stall-after:30", false);
  return fine ? 0 : 1;
}
