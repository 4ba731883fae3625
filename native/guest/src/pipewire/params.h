// SPDX-License-Identifier: Apache-2.0
// What a capture offers PipeWire: formats, buffers, metadata.
#ifndef SCANBRIDGE_GUEST_PIPEWIRE_PARAMS_H_
#define SCANBRIDGE_GUEST_PIPEWIRE_PARAMS_H_

#include <spa/param/video/raw.h>
#include <spa/pod/pod.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace scanbridge::guest {

/// Modifiers of one pixel format that the GPU can import.
struct FormatModifiers {
  uint32_t fourcc = 0;
  std::vector<uint64_t> modifiers;
};

struct FormatOffer {
  /// 0: the source's size.
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t max_fps = 60;
  /// Of the GPU; LINEAR is offered for every format in any case, because it can be mapped without a
  /// GPU.
  std::vector<FormatModifiers> gpu;
  /// Nobody can use the source's dma-bufs.
  bool shared_memory_only = false;
};

/// A format as negotiated.
struct NegotiatedFormat {
  spa_video_info_raw raw{};
  bool has_modifier = false;
  /// The producer has yet to choose a modifier; the format comes again.
  bool unfixated = false;
};

/// Pods in one piece of memory that live as long as this.
class ParamList {
 public:
  ParamList() : memory_(kMemory) {}
  std::span<const spa_pod*> pods() { return pods_; }

 private:
  friend ParamList BuildFormats(const FormatOffer& offer);
  friend ParamList BuildBufferParams(const NegotiatedFormat& format, bool explicit_sync);

  // Four formats with 256 modifiers each, and their fallbacks.
  static constexpr size_t kMemory = 32 * 1024;

  std::vector<uint8_t> memory_;
  std::vector<const spa_pod*> pods_;
};

/// SPA_PARAM_EnumFormat: with modifiers first, then without, which means shared memory.
ParamList BuildFormats(const FormatOffer& offer);

/// False when it is not a raw video format.
bool ParseFormat(const spa_pod* pod, NegotiatedFormat& format);

/// SPA_PARAM_Buffers and SPA_PARAM_Meta for a negotiated format. `explicit_sync`: this process can
/// signal timelines (and was compiled against a PipeWire that has them).
ParamList BuildBufferParams(const NegotiatedFormat& format, bool explicit_sync);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_PIPEWIRE_PARAMS_H_
