// SPDX-License-Identifier: Apache-2.0
// The engines, and of each the paths from pictures to access units in the order in which they are
// tried.
//
// A new engine is a new entry: nothing else knows an engine's name. What works is found by encoding
// pictures (probe.h and the engine's own first pictures), never by a version or by the presence of
// a plug-in.
#ifndef SCANBRIDGE_HOST_ENCODE_ENGINE_TABLE_H_
#define SCANBRIDGE_HOST_ENCODE_ENGINE_TABLE_H_

#include <gst/gst.h>

#include <cstdint>
#include <span>
#include <string>

namespace scanbridge::host {

/// A GStreamer element and the Debian package that has it.
struct ElementNeed {
  const char* factory;
  const char* package;
};

/// What an encoder is told at its start.
struct EncoderSettings {
  uint32_t bitrate_kbps = 0;
  /// Upper bound; pictures come when something changes.
  uint32_t max_fps = 0;
};

/// One way of an engine. Its input is I420 in system memory.
struct EnginePath {
  const char* engine;
  const char* path;
  std::span<const ElementNeed> needs;
  /// Colorimetry of the input caps, as this encoder can write it into its VUI.
  const char* colorimetry;
  /// What the encoder adds to all times [ns].
  uint64_t time_shift;
  /// What follows the source, up to and without the sink, in the notation of gst-launch. The
  /// encoder is named "encoder"; the end of it must be H.264 with start codes, in whole access
  /// units.
  std::string (*description)(const EncoderSettings& settings);
  /// Changes the target of a running encoder.
  void (*set_bitrate)(GstElement* encoder, uint32_t kbps);
};

/// All paths; those of one engine are neighbours. `auto` goes through them from the first to the
/// last.
std::span<const EnginePath> EnginePaths();

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_ENGINE_TABLE_H_
