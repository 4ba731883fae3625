// SPDX-License-Identifier: Apache-2.0
#include "encode/engine_table.h"

namespace scanbridge::host {
namespace {

constexpr ElementNeed kX264Needs[] = {{"appsrc", "gstreamer1.0-plugins-base"},
                                      {"x264enc", "gstreamer1.0-plugins-ugly"},
                                      {"appsink", "gstreamer1.0-plugins-base"}};

std::string X264(const EncoderSettings& settings) {
  // One thread: slices for threads cost more than they bring at the sizes of a desktop, and other
  // sessions want the cores. Not VFR input (force-cfr=0): x264 then keeps each picture until the
  // next one is there, to know how long it lasts: a whole picture of latency. Without the profile
  // in the caps, x264enc would choose high 4:4:4.
  return "x264enc name=encoder tune=zerolatency speed-preset=ultrafast threads=1 "
         "sliced-threads=false bframes=0 key-int-max=2147483647 rc-lookahead=0 byte-stream=true "
         "aud=true insert-vui=true option-string=\"scenecut=0\" bitrate=" +
         std::to_string(settings.bitrate_kbps) +
         " ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au";
}

void SetX264Bitrate(GstElement* encoder, uint32_t kbps) {
  g_object_set(encoder, "bitrate", kbps, nullptr);
}

constexpr ElementNeed kOpenH264Needs[] = {{"appsrc", "gstreamer1.0-plugins-base"},
                                          {"openh264enc", "gstreamer1.0-plugins-bad"},
                                          {"appsink", "gstreamer1.0-plugins-base"}};

std::string OpenH264(const EncoderSettings& settings) {
  // rate-control=bitrate: by default it aims at quality and ignores the bitrate; hard content
  // exceeds it even so. usage-type=screen costs twice the time and twice the bits, and makes key
  // frames of its own. No frame skipping: what was handed over has to come out.
  const std::string bits = std::to_string(uint64_t{settings.bitrate_kbps} * 1000);
  return "openh264enc name=encoder usage-type=camera rate-control=bitrate complexity=low "
         "multi-thread=1 slice-mode=n-slices num-slices=1 gop-size=0 "
         "scene-change-detection=false background-detection=false adaptive-quantization=false "
         "enable-frame-skip=false bitrate=" +
         bits + " max-bitrate=" + bits +
         " ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au";
}

void SetOpenH264Bitrate(GstElement* encoder, uint32_t kbps) {
  const guint bits = kbps * 1000;
  // The maximum may never be below the target.
  guint present = 0;
  g_object_get(encoder, "bitrate", &present, nullptr);
  const bool up = bits > present;
  g_object_set(encoder, up ? "max-bitrate" : "bitrate", bits, nullptr);
  g_object_set(encoder, up ? "bitrate" : "max-bitrate", bits, nullptr);
}

// Limited range, BT.601 matrix, sRGB transfer, BT.709 primaries: what a desktop is once libyuv has
// converted it.
constexpr char kColorimetry[] = "2:4:7:1";

/// x264enc shifts times by 1000 hours, so that decoding times never become negative.
constexpr uint64_t kX264TimeShift = 1000ull * 3600 * GST_SECOND;

const EnginePath kPaths[] = {
    {"x264", "system-memory", kX264Needs, kColorimetry, kX264TimeShift, X264, SetX264Bitrate},
    {"openh264", "system-memory", kOpenH264Needs, kColorimetry, 0, OpenH264, SetOpenH264Bitrate},
};

}  // namespace

std::span<const EnginePath> EnginePaths() {
  return kPaths;
}

}  // namespace scanbridge::host
