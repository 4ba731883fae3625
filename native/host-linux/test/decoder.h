// SPDX-License-Identifier: Apache-2.0
// Decodes what an engine made, with GStreamer's openh264dec, to look at the pixels.
#ifndef SCANBRIDGE_HOST_TEST_DECODER_H_
#define SCANBRIDGE_HOST_TEST_DECODER_H_

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "encode/encoder.h"

namespace scanbridge::host::test {

/// A decoded picture.
struct Decoded {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint8_t> luma;
  int At(uint32_t x, uint32_t y) const { return luma[size_t{y} * width + x]; }
};

class Decoder {
 public:
  Decoder() {
    InitGStreamer();
    pipeline_ = gst_parse_launch(
        "appsrc name=source format=time caps=video/x-h264,stream-format=byte-stream,alignment=au ! "
        "h264parse ! openh264dec ! video/x-raw,format=I420 ! appsink name=sink sync=false",
        nullptr);
    source_ = gst_bin_get_by_name(GST_BIN(pipeline_), "source");
    sink_ = gst_bin_get_by_name(GST_BIN(pipeline_), "sink");
    gst_element_set_state(pipeline_, GST_STATE_PLAYING);
  }
  ~Decoder() {
    gst_element_set_state(pipeline_, GST_STATE_NULL);
    gst_object_unref(source_);
    gst_object_unref(sink_);
    gst_object_unref(pipeline_);
  }
  Decoder(const Decoder&) = delete;

  /// One access unit in, one picture out; nothing when none comes within five seconds.
  std::optional<Decoded> Decode(std::span<const uint8_t> access_unit) {
    GstBuffer* const buffer =
        gst_buffer_new_memdup(access_unit.data(), static_cast<gsize>(access_unit.size()));
    GST_BUFFER_PTS(buffer) = GST_MSECOND * count_++;
    gst_app_src_push_buffer(GST_APP_SRC(source_), buffer);
    GstSample* const sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink_), 5 * GST_SECOND);
    if (sample == nullptr) return std::nullopt;
    Decoded decoded;
    GstVideoInfo info;
    GstVideoFrame frame;
    gst_video_info_from_caps(&info, gst_sample_get_caps(sample));
    if (gst_video_frame_map(&frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ)) {
      decoded.width = static_cast<uint32_t>(GST_VIDEO_FRAME_WIDTH(&frame));
      decoded.height = static_cast<uint32_t>(GST_VIDEO_FRAME_HEIGHT(&frame));
      const auto* const rows = static_cast<const uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0));
      for (uint32_t y = 0; y < decoded.height; y++) {
        const uint8_t* const row =
            rows + static_cast<ptrdiff_t>(y) * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0);
        decoded.luma.insert(decoded.luma.end(), row, row + decoded.width);
      }
      gst_video_frame_unmap(&frame);
    }
    gst_sample_unref(sample);
    return decoded;
  }

 private:
  GstElement* pipeline_ = nullptr;
  GstElement* source_ = nullptr;
  GstElement* sink_ = nullptr;
  uint64_t count_ = 0;
};

}  // namespace scanbridge::host::test

#endif  // SCANBRIDGE_HOST_TEST_DECODER_H_
