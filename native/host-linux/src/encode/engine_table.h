// SPDX-License-Identifier: Apache-2.0
// The engines, and of each the paths from pictures to access units in the order in which they are
// tried.
//
// All of it is data: a new engine is a new row, and nothing else knows an engine's name. What works
// is found by encoding pictures (probe.h and the engine's own first pictures), never by a version
// or by the presence of a plug-in.
#ifndef SCANBRIDGE_HOST_ENCODE_ENGINE_TABLE_H_
#define SCANBRIDGE_HOST_ENCODE_ENGINE_TABLE_H_

#include <gst/gst.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scanbridge::host {

enum class Codec { kH264, kHevc, kAv1, kVp9 };

/// "h264", "hevc", "av1", "vp9"
const char* NameOf(Codec codec);
std::optional<Codec> CodecOf(std::string_view name);

/// A GStreamer element and the Debian package that has it.
struct ElementNeed {
  std::string factory;
  std::string package;
};

/// Which GPU, in the words of GStreamer's plug-ins; empty: their first.
struct GpuChoice {
  /// Of VA-API's elements for a render node that is not the first: "renderD129".
  std::string render_node;
  /// Number of the device for CUDA; 0 is the first.
  uint32_t cuda = 0;
};

/// What an encoder is told at its start.
struct EncoderSettings {
  uint32_t bitrate_kbps = 0;
  /// Upper bound; pictures come when something changes.
  uint32_t max_fps = 0;
  GpuChoice gpu;
};

/// What a path takes.
enum class PathInput {
  /// I420 in system memory, which this process has read from the surface and converted.
  kSystem,
  /// The surface itself as a dma-buf: this process does not look at a pixel.
  kDmaBuf,
};

/// How an encoder's "bitrate" is written.
enum class BitrateProperty { kKbps, kBps, kTargetKbps, kTargetBps, kOpenH264 };

/// One way of an engine.
struct EnginePath {
  std::string engine;
  std::string path;
  Codec codec = Codec::kH264;
  PathInput input = PathInput::kSystem;
  /// A GPU encodes: the path may hang with its driver, and is given less time.
  bool hardware = false;
  std::vector<ElementNeed> needs;
  /// Colorimetry of the input caps, as this encoder can write it into its VUI; and whether the
  /// samples are BT.709 (GPUs convert so) or BT.601 (libyuv).
  const char* colorimetry = "";
  bool bt709 = false;
  /// The encoder makes a key frame at its start and never when it is asked: it is started anew.
  bool key_by_restart = false;
  /// What the encoder adds to all times [ns].
  uint64_t time_shift = 0;
  /// What comes between source and encoder, in the notation of gst-launch; empty: nothing.
  std::string route;
  /// Of the encoder: "name=value" or, for properties whose values differ between versions,
  /// "name=value|other". What an element does not have is left out.
  std::string encoder;
  std::string options;
  BitrateProperty bitrate = BitrateProperty::kKbps;
  /// After the encoder, up to and without the sink: whole access units with start codes, temporal
  /// units, or frames.
  std::string tail;
};

/// All paths; those of one engine and codec are neighbours. `auto` goes through them from the first
/// to the last.
std::span<const EnginePath> EnginePaths();

/// Which paths may be taken, whatever works.
enum class PathMode {
  kAuto,
  /// Pictures stay on the GPU, from the surface to the encoder.
  kZeroCopy,
  /// The GPU's own encoder, with whatever way into it.
  kNative,
  /// Pictures are read from shared or mapped memory, for any encoder.
  kShm,
};
std::optional<PathMode> ModeOf(std::string_view name);

/// The paths for a wish, in order. `engine` may be "auto". Empty: there is no such combination.
std::vector<const EnginePath*> SelectPaths(std::string_view engine, Codec codec, PathMode mode);

/// Replaces the names of elements by those of the chosen GPU: "{va}postproc", "nvh264{device}enc".
std::string ForGpu(std::string_view text, const GpuChoice& gpu);

/// The path in the notation of gst-launch, with the encoder named "encoder". Options that the
/// installed element does not have are left out.
std::string DescribePath(const EnginePath& path, const EncoderSettings& settings);

/// Changes the target of a running encoder.
void SetBitrate(GstElement* encoder, BitrateProperty property, uint32_t kbps);

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_ENGINE_TABLE_H_
