// SPDX-License-Identifier: Apache-2.0
#include "encode/stream_parameters.h"

#include <algorithm>

#include "encode/av1_sequence.h"
#include "encode/h264_sps.h"
#include "encode/hevc_sps.h"
#include "encode/vp9_header.h"

namespace scanbridge::host {
namespace {

using Result = std::variant<StreamParameters, std::string>;

/// Of a key frame's header, what stays the same from one to the next: up to its size [bytes].
constexpr size_t kVp9Fixed = 8;

const std::string kReorders =
    "it does not promise that pictures keep their order, so decoders would delay them";

Result ReadH264(std::span<const uint8_t> access_unit) {
  const auto nal = FindSps(access_unit);
  if (nal.empty()) return "a key frame has no sequence parameter set";
  const auto sps = ParseSps(nal);
  if (!sps) return "its sequence parameter set is damaged";
  StreamParameters result{sps->Codec(), sps->width, sps->height, {}, nal};
  // Silence is the encoders' habit; a number is a stream with B-frames.
  if (sps->max_num_reorder_frames.value_or(0) != 0) return kReorders;
  if (!sps->max_num_reorder_frames) result.replacement = PromiseOrder(nal, *sps);
  return result;
}

Result ReadHevc(std::span<const uint8_t> access_unit) {
  const auto nal = FindHevcSps(access_unit);
  if (nal.empty()) return "a key frame has no sequence parameter set";
  const auto sps = ParseHevcSps(nal);
  if (!sps) return "its sequence parameter set is damaged";
  if (sps->max_num_reorder_pics != 0) return kReorders;
  return StreamParameters{sps->Codec(), sps->width, sps->height, {}, nal};
}

Result ReadAv1(std::span<const uint8_t> access_unit) {
  const auto payload = FindAv1Sequence(access_unit);
  if (payload.empty()) return "a key frame has no sequence header";
  const auto sequence = ParseAv1Sequence(payload);
  if (!sequence) return "its sequence header is damaged";
  return StreamParameters{sequence->Codec(), sequence->width, sequence->height, {}, payload};
}

Result ReadVp9(std::span<const uint8_t> frame, uint32_t frames_per_second) {
  const auto header = ParseVp9Header(frame);
  if (!header) return "a key frame has a damaged header";
  return StreamParameters{header->Codec(frames_per_second),
                          header->width,
                          header->height,
                          {},
                          frame.subspan(0, std::min<size_t>(frame.size(), kVp9Fixed))};
}

}  // namespace

Result ReadParameters(Codec codec, std::span<const uint8_t> access_unit,
                      uint32_t frames_per_second) {
  switch (codec) {
    case Codec::kH264:
      return ReadH264(access_unit);
    case Codec::kHevc:
      return ReadHevc(access_unit);
    case Codec::kAv1:
      return ReadAv1(access_unit);
    case Codec::kVp9:
      return ReadVp9(access_unit, frames_per_second);
  }
  return "its codec is unknown";
}

}  // namespace scanbridge::host
