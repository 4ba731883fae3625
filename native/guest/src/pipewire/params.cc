// SPDX-License-Identifier: Apache-2.0
#include "pipewire/params.h"

#include <scanbridge/surface.h>
#include <spa/buffer/buffer.h>
#include <spa/buffer/meta.h>
#include <spa/param/buffers.h>
#include <spa/param/format.h>
#include <spa/param/param.h>
#include <spa/param/video/format-utils.h>
#include <spa/pod/builder.h>
#include <spa/pod/iter.h>

#include <algorithm>

#include "pipewire/video_format.h"

namespace scanbridge::guest {
namespace {

// Mutter compares the time since its last frame with the interval of the negotiated maximum. With
// the refresh rate itself as the maximum, half of the frames come a few microseconds too early and
// wait for the next one.
constexpr uint32_t kRateHeadroom = 2;
constexpr size_t kMaxModifiers = 256;

// Of the pool one buffer stays with the newest picture and the compositor needs two (see Capture),
// which leaves five clients that may each read another one. With the least there is none for them,
// so they have to be quick.
constexpr int kBuffersWanted = 8;
constexpr int kBuffersLeast = 3;
constexpr int kBuffersMost = 16;

// Compositors state the room for their largest shape, whatever they send.
constexpr int kCursorMetaMost = 1024;

constexpr int kRegionSize = sizeof(spa_meta_region);

constexpr int CursorMetaSize(int side) {
  return static_cast<int>(sizeof(spa_meta_cursor) + sizeof(spa_meta_bitmap)) + side * side * 4;
}

void AddSizeAndRate(spa_pod_builder& builder, const FormatOffer& offer, bool fixed_size) {
  const spa_rectangle wanted = {offer.width != 0 ? offer.width : 1280,
                                offer.height != 0 ? offer.height : 720};
  const spa_rectangle least = {1, 1};
  const spa_rectangle most = {SB_MAX_DIMENSION, SB_MAX_DIMENSION};
  if (fixed_size) {
    spa_pod_builder_add(&builder, SPA_FORMAT_VIDEO_size, SPA_POD_Rectangle(&wanted), 0);
  } else {
    spa_pod_builder_add(&builder, SPA_FORMAT_VIDEO_size,
                        SPA_POD_CHOICE_RANGE_Rectangle(&wanted, &least, &most), 0);
  }
  const spa_fraction variable = {0, 1};
  const spa_fraction slowest = {1, 1};
  const spa_fraction any = {1000, 1};
  const spa_fraction limit = {std::min(offer.max_fps * kRateHeadroom, 1000u), 1};
  spa_pod_builder_add(&builder, SPA_FORMAT_VIDEO_framerate,
                      SPA_POD_CHOICE_RANGE_Fraction(&variable, &variable, &any),
                      SPA_FORMAT_VIDEO_maxFramerate,
                      SPA_POD_CHOICE_RANGE_Fraction(&limit, &slowest, &limit), 0);
}

void OpenFormat(spa_pod_builder& builder, spa_pod_frame& frame) {
  spa_pod_builder_push_object(&builder, &frame, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat);
  spa_pod_builder_add(&builder, SPA_FORMAT_mediaType, SPA_POD_Id(SPA_MEDIA_TYPE_video),
                      SPA_FORMAT_mediaSubtype, SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw), 0);
}

/// GPU's modifiers of the format, and LINEAR.
std::vector<uint64_t> ModifiersOf(const FormatOffer& offer, uint32_t fourcc) {
  std::vector<uint64_t> modifiers;
  for (const FormatModifiers& entry : offer.gpu) {
    if (entry.fourcc == fourcc) modifiers = entry.modifiers;
  }
  if (modifiers.size() > kMaxModifiers) modifiers.resize(kMaxModifiers);
  if (std::ranges::find(modifiers, uint64_t{DRM_FORMAT_MOD_LINEAR}) == modifiers.end()) {
    modifiers.push_back(DRM_FORMAT_MOD_LINEAR);
  }
  return modifiers;
}

const spa_pod* BuildModifierFormat(spa_pod_builder& builder, const FormatOffer& offer,
                                   const VideoFormat& format, bool fixed_size) {
  const std::vector<uint64_t> modifiers = ModifiersOf(offer, format.fourcc);
  spa_pod_frame object;
  spa_pod_frame choice;
  OpenFormat(builder, object);
  spa_pod_builder_add(&builder, SPA_FORMAT_VIDEO_format, SPA_POD_Id(format.spa), 0);
  spa_pod_builder_prop(&builder, SPA_FORMAT_VIDEO_modifier,
                       SPA_POD_PROP_FLAG_MANDATORY | SPA_POD_PROP_FLAG_DONT_FIXATE);
  spa_pod_builder_push_choice(&builder, &choice, SPA_CHOICE_Enum, 0);
  // The first value of an enumeration is its default and comes again among the alternatives.
  spa_pod_builder_long(&builder, static_cast<int64_t>(modifiers.front()));
  for (const uint64_t modifier : modifiers) {
    spa_pod_builder_long(&builder, static_cast<int64_t>(modifier));
  }
  spa_pod_builder_pop(&builder, &choice);
  AddSizeAndRate(builder, offer, fixed_size);
  return static_cast<const spa_pod*>(spa_pod_builder_pop(&builder, &object));
}

const spa_pod* BuildSharedMemoryFormat(spa_pod_builder& builder, const FormatOffer& offer,
                                       bool fixed_size) {
  spa_pod_frame object;
  spa_pod_frame choice;
  OpenFormat(builder, object);
  spa_pod_builder_prop(&builder, SPA_FORMAT_VIDEO_format, 0);
  spa_pod_builder_push_choice(&builder, &choice, SPA_CHOICE_Enum, 0);
  spa_pod_builder_id(&builder, kVideoFormats.front().spa);
  for (const VideoFormat& format : kVideoFormats) spa_pod_builder_id(&builder, format.spa);
  spa_pod_builder_pop(&builder, &choice);
  AddSizeAndRate(builder, offer, fixed_size);
  return static_cast<const spa_pod*>(spa_pod_builder_pop(&builder, &object));
}

const spa_pod* BuildMeta(spa_pod_builder& builder, uint32_t type, int size) {
  return static_cast<const spa_pod*>(spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta, SPA_PARAM_META_type, SPA_POD_Id(type),
      SPA_PARAM_META_size, SPA_POD_Int(size)));
}

const spa_pod* BuildMetaRange(spa_pod_builder& builder, uint32_t type, int wanted, int least,
                              int most) {
  return static_cast<const spa_pod*>(spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta, SPA_PARAM_META_type, SPA_POD_Id(type),
      SPA_PARAM_META_size, SPA_POD_CHOICE_RANGE_Int(wanted, least, most)));
}

}  // namespace

ParamList BuildFormats(const FormatOffer& offer) {
  ParamList list;
  spa_pod_builder builder{};
  spa_pod_builder_init(&builder, list.memory_.data(), static_cast<uint32_t>(list.memory_.size()));
  const auto add = [&](bool fixed_size) {
    if (!offer.shared_memory_only) {
      for (const VideoFormat& format : kVideoFormats) {
        list.pods_.push_back(BuildModifierFormat(builder, offer, format, fixed_size));
      }
    }
    list.pods_.push_back(BuildSharedMemoryFormat(builder, offer, fixed_size));
  };
  // A source that leaves the size to us takes the first; any other one refuses it and takes the
  // second.
  if (offer.width != 0 && offer.height != 0) add(true);
  add(false);
  // A format that did not fit into the memory is not offered.
  std::erase(list.pods_, nullptr);
  return list;
}

bool ParseFormat(const spa_pod* pod, NegotiatedFormat& format) {
  uint32_t media_type = 0;
  uint32_t media_subtype = 0;
  if (spa_format_parse(pod, &media_type, &media_subtype) < 0 ||
      media_type != SPA_MEDIA_TYPE_video || media_subtype != SPA_MEDIA_SUBTYPE_raw) {
    return false;
  }
  const spa_pod_prop* modifier = spa_pod_find_prop(pod, nullptr, SPA_FORMAT_VIDEO_modifier);
  format.has_modifier = modifier != nullptr;
  format.unfixated = modifier != nullptr && (modifier->flags & SPA_POD_PROP_FLAG_DONT_FIXATE) != 0;
  return spa_format_video_raw_parse(pod, &format.raw) >= 0;
}

ParamList BuildBufferParams(const NegotiatedFormat& format, bool explicit_sync) {
  ParamList list;
  spa_pod_builder builder{};
  spa_pod_builder_init(&builder, list.memory_.data(), static_cast<uint32_t>(list.memory_.size()));
  auto& pods = list.pods_;
#ifdef SCANBRIDGE_HAVE_SYNC_TIMELINE
  if (explicit_sync && format.has_modifier) {
    spa_pod_frame frame;
    spa_pod_builder_push_object(&builder, &frame, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers);
    spa_pod_builder_add(&builder, SPA_PARAM_BUFFERS_buffers,
                        SPA_POD_CHOICE_RANGE_Int(kBuffersWanted, kBuffersLeast, kBuffersMost),
                        SPA_PARAM_BUFFERS_dataType, SPA_POD_CHOICE_FLAGS_Int(1 << SPA_DATA_DmaBuf),
                        0);
    spa_pod_builder_prop(&builder, SPA_PARAM_BUFFERS_metaType, SPA_POD_PROP_FLAG_MANDATORY);
    spa_pod_builder_int(&builder, 1 << SPA_META_SyncTimeline);
    pods.push_back(static_cast<const spa_pod*>(spa_pod_builder_pop(&builder, &frame)));
    pods.push_back(BuildMeta(builder, SPA_META_SyncTimeline, sizeof(spa_meta_sync_timeline)));
  }
#else
  (void)explicit_sync;
#endif
  // Without a modifier the buffers are shared memory; MemPtr could not be passed on.
  const int types = format.has_modifier ? 1 << SPA_DATA_DmaBuf : 1 << SPA_DATA_MemFd;
  pods.push_back(static_cast<const spa_pod*>(spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers, SPA_PARAM_BUFFERS_buffers,
      SPA_POD_CHOICE_RANGE_Int(kBuffersWanted, kBuffersLeast, kBuffersMost),
      SPA_PARAM_BUFFERS_dataType, SPA_POD_CHOICE_FLAGS_Int(types))));
  pods.push_back(BuildMeta(builder, SPA_META_Header, sizeof(spa_meta_header)));
  pods.push_back(BuildMeta(builder, SPA_META_VideoCrop, kRegionSize));
  pods.push_back(BuildMetaRange(builder, SPA_META_VideoDamage, kRegionSize * SB_MAX_DAMAGE,
                                kRegionSize, kRegionSize * SB_MAX_DAMAGE));
  pods.push_back(BuildMetaRange(builder, SPA_META_Cursor, CursorMetaSize(64), CursorMetaSize(1),
                                CursorMetaSize(kCursorMetaMost)));
  std::erase(pods, nullptr);
  return list;
}

}  // namespace scanbridge::guest
