// SPDX-License-Identifier: Apache-2.0
#include "encode/encoder.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>

namespace scanbridge::host {
namespace {

struct ErrorText {
  std::string message;
  std::string debug;
};

ErrorText TextOf(GstMessage* message) {
  GError* error = nullptr;
  gchar* debug = nullptr;
  gst_message_parse_error(message, &error, &debug);
  ErrorText text{error != nullptr ? error->message : "unknown error",
                 debug != nullptr ? debug : ""};
  g_clear_error(&error);
  g_free(debug);
  return text;
}

}  // namespace

void InitGStreamer() {
  static std::once_flag once;
  std::call_once(once, [] { gst_init(nullptr, nullptr); });
}

bool HasElement(const char* factory) {
  GstElementFactory* const found = gst_element_factory_find(factory);
  if (found != nullptr) gst_object_unref(found);
  return found != nullptr;
}

std::optional<EngineError> FindMissing(const EnginePath& path) {
  for (const ElementNeed& need : path.needs) {
    if (HasElement(need.factory)) continue;
    return EngineError{"ELEMENT_MISSING",
                       std::string("GStreamer has no element ") + need.factory + ".",
                       std::string("Install the package ") + need.package + ".", need.factory};
  }
  return std::nullopt;
}

/// Holds the picture while GStreamer reads it, and tells when it does no more.
struct Encoder::Lease {
  std::shared_ptr<I420Picture> picture;
  EncoderObserver& observer;

  static void End(gpointer self) {
    std::unique_ptr<Lease> lease(static_cast<Lease*>(self));
    lease->picture->Return();
    lease->observer.OnPictureFree();
  }
};

std::variant<std::unique_ptr<Encoder>, EngineError> Encoder::Create(const EnginePath& path,
                                                                    uint32_t coded_width,
                                                                    uint32_t coded_height,
                                                                    const EncoderSettings& settings,
                                                                    EncoderObserver& observer) {
  InitGStreamer();
  if (auto missing = FindMissing(path)) return std::move(*missing);
  std::unique_ptr<Encoder> encoder(new Encoder(path, observer));
  if (auto error = encoder->Start(coded_width, coded_height, settings)) return std::move(*error);
  return encoder;
}

std::optional<EngineError> Encoder::Start(uint32_t coded_width, uint32_t coded_height,
                                          const EncoderSettings& settings) {
  // The source never blocks: the owner submits one picture at a time. Nothing in here waits for a
  // clock.
  const std::string description =
      "appsrc name=source is-live=true format=time stream-type=stream block=false ! " +
      path_.description(settings) +
      " ! appsink name=sink sync=false async=false enable-last-sample=false max-buffers=4";
  GError* error = nullptr;
  pipeline_ =
      gst_parse_launch_full(description.c_str(), nullptr, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (pipeline_ == nullptr) {
    EngineError failure{"ENCODER_FAILED",
                        std::string("The pipeline of ") + path_.engine +
                            " cannot be built: " + (error != nullptr ? error->message : "?"),
                        "Install the GStreamer of the distribution, or use another engine."};
    g_clear_error(&error);
    return failure;
  }
  g_clear_error(&error);
  source_ = gst_bin_get_by_name(GST_BIN(pipeline_), "source");
  sink_ = gst_bin_get_by_name(GST_BIN(pipeline_), "sink");
  encoder_ = gst_bin_get_by_name(GST_BIN(pipeline_), "encoder");

  GstCaps* const caps = gst_caps_new_simple(
      "video/x-raw", "format", G_TYPE_STRING, "I420", "width", G_TYPE_INT,
      static_cast<gint>(coded_width), "height", G_TYPE_INT, static_cast<gint>(coded_height),
      "framerate", GST_TYPE_FRACTION, static_cast<gint>(settings.max_fps), 1, "colorimetry",
      G_TYPE_STRING, path_.colorimetry, "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1, nullptr);
  gst_app_src_set_caps(GST_APP_SRC(source_), caps);
  gst_caps_unref(caps);

  GstAppSinkCallbacks callbacks{};
  callbacks.new_sample = [](GstAppSink* sink, gpointer self) {
    static_cast<Encoder*>(self)->TakeSample(GST_ELEMENT(sink));
    return GST_FLOW_OK;
  };
  gst_app_sink_set_callbacks(GST_APP_SINK(sink_), &callbacks, this, nullptr);
  GstBus* const bus = gst_element_get_bus(pipeline_);
  gst_bus_set_sync_handler(bus, OnMessage, this, nullptr);
  gst_object_unref(bus);

  const GstStateChangeReturn started = gst_element_set_state(pipeline_, GST_STATE_PLAYING);
  const std::lock_guard lock(mutex_);
  starting_ = false;
  if (start_error_) return start_error_;
  if (started == GST_STATE_CHANGE_FAILURE) {
    return EngineError{"ENCODER_FAILED",
                       std::string("The pipeline of ") + path_.engine + " does not start.",
                       "Use another engine, or look at the output of GST_DEBUG=3.", "encoder"};
  }
  return std::nullopt;
}

Encoder::~Encoder() {
  if (pipeline_ != nullptr) {
    gst_element_set_state(pipeline_, GST_STATE_NULL);
    GstBus* const bus = gst_element_get_bus(pipeline_);
    gst_bus_set_sync_handler(bus, nullptr, nullptr, nullptr);
    gst_object_unref(bus);
  }
  for (GstElement* element : {source_, sink_, encoder_, pipeline_}) {
    if (element != nullptr) gst_object_unref(element);
  }
}

void Encoder::Submit(std::shared_ptr<I420Picture> picture, uint64_t timestamp, bool key) {
  if (key) {
    GstEvent* const event =
        gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0);
    gst_element_send_event(sink_, event);
  }
  picture->Lend();
  const I420Picture& p = *picture;
  uint8_t* const data = p.data();
  const size_t size = p.size();
  gsize offsets[GST_VIDEO_MAX_PLANES] = {};
  gint strides[GST_VIDEO_MAX_PLANES] = {};
  for (size_t i = 0; i < 3; i++) {
    offsets[i] = p.offsets()[i];
    strides[i] = p.strides()[i];
  }
  GstBuffer* const buffer = gst_buffer_new();
  gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420,
                                 p.coded_width(), p.coded_height(), 3, offsets, strides);
  gst_buffer_append_memory(
      buffer, gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, data, size, 0, size,
                                     new Lease{std::move(picture), observer_}, Lease::End));
  if (!first_timestamp_) first_timestamp_ = timestamp;
  GST_BUFFER_PTS(buffer) = timestamp - *first_timestamp_;
  // A failure here is also a message on the bus.
  (void)gst_app_src_push_buffer(GST_APP_SRC(source_), buffer);
}

void Encoder::SetBitrate(uint32_t kbps) {
  path_.set_bitrate(encoder_, kbps);
}

void Encoder::TakeSample(GstElement* sink) {
  GstSample* const sample = gst_app_sink_pull_sample(GST_APP_SINK(sink));
  if (sample == nullptr) return;
  GstBuffer* const buffer = gst_sample_get_buffer(sample);
  GstMapInfo map;
  if (buffer != nullptr && gst_buffer_map(buffer, &map, GST_MAP_READ)) {
    observer_.OnAccessUnit(GST_BUFFER_PTS(buffer) - path_.time_shift + *first_timestamp_,
                           !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT),
                           {map.data, map.size});
    gst_buffer_unmap(buffer, &map);
  } else {
    Fail({"ENCODER_FAILED", "An access unit cannot be read.", "Start the session again.", "sink"});
  }
  gst_sample_unref(sample);
}

void Encoder::Fail(EngineError error) {
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return;
    failed_ = true;
    if (starting_) {
      start_error_ = std::move(error);
      return;
    }
  }
  observer_.OnEncoderError(std::move(error));
}

GstBusSyncReply Encoder::OnMessage(GstBus*, GstMessage* message, gpointer self) {
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    auto* const encoder = static_cast<Encoder*>(self);
    ErrorText text = TextOf(message);
    const char* const element =
        GST_MESSAGE_SRC(message) != nullptr ? GST_OBJECT_NAME(GST_MESSAGE_SRC(message)) : "?";
    encoder->Fail({"ENCODER_FAILED",
                   std::string("The encoder ") + encoder->path_.engine + " failed: " + text.message,
                   "The session starts it anew; if it fails again, use another engine.", element,
                   std::move(text.debug)});
  }
  // Nobody reads this bus: what is not an error would pile up.
  gst_message_unref(message);
  return GST_BUS_DROP;
}

}  // namespace scanbridge::host
