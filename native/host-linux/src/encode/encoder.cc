// SPDX-License-Identifier: Apache-2.0
#include "encode/encoder.h"

#include <gst/allocators/gstdmabuf.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>

#include "encode/dmabuf_caps.h"

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

std::optional<EngineError> FindMissing(const EnginePath& path, const GpuChoice& gpu) {
  for (const ElementNeed& need : path.needs) {
    const std::string factory = ForGpu(need.factory, gpu);
    if (HasElement(factory.c_str())) continue;
    std::string remedy = "Install the package " + need.package;
    // The plug-ins of GPUs make their elements when they see a GPU that has what it takes.
    remedy +=
        path.hardware ? "; if it is installed, this GPU or its driver lacks the function." : ".";
    return EngineError{"ELEMENT_MISSING", "GStreamer has no element " + factory + ".",
                       std::move(remedy), factory};
  }
  return std::nullopt;
}

/// Holds the picture while GStreamer reads it, and tells when it does no more.
struct Encoder::Lease {
  std::shared_ptr<I420Picture> picture;
  Encoder& encoder;

  static void End(gpointer self) {
    std::unique_ptr<Lease> lease(static_cast<Lease*>(self));
    lease->picture->Return();
    const std::lock_guard lock(lease->encoder.observer_mutex_);
    if (!lease->encoder.silent_) lease->encoder.observer_.OnPictureFree();
  }
};

/// Holds a surface until the buffer that carried it is free.
struct Encoder::Shared {
  std::shared_ptr<const DmaBuf> surface;
  Encoder& encoder;

  static void End(gpointer self) {
    const std::unique_ptr<Shared> shared(static_cast<Shared*>(self));
    const std::lock_guard lock(shared->encoder.observer_mutex_);
    if (!shared->encoder.silent_) shared->encoder.observer_.OnPictureFree();
  }
};

std::variant<std::unique_ptr<Encoder>, EngineError> Encoder::Create(const EnginePath& path,
                                                                    const EncoderInput& input,
                                                                    const EncoderSettings& settings,
                                                                    EncoderObserver& observer) {
  InitGStreamer();
  if (auto missing = FindMissing(path, settings.gpu)) return std::move(*missing);
  std::unique_ptr<Encoder> encoder(new Encoder(path, observer));
  if (auto error = encoder->Start(input, settings)) return std::move(*error);
  return encoder;
}

/// The first element says what it takes, and for which GPU: what that excludes need not be tried.
std::optional<EngineError> Encoder::Fits(GstCaps* caps, const EncoderSettings& settings) const {
  const std::string route = ForGpu(path_.route.empty() ? path_.encoder : path_.route, settings.gpu);
  const std::string first = route.substr(0, route.find(' '));
  GstElementFactory* const factory = gst_element_factory_find(first.c_str());
  const bool fits = factory != nullptr && gst_element_factory_can_sink_any_caps(factory, caps);
  if (factory != nullptr) gst_object_unref(factory);
  if (fits) return std::nullopt;
  gchar* const text = gst_caps_to_string(caps);
  EngineError error{"PATH_UNFIT", first + " does not take " + text + " on this GPU.",
                    "The next path is tried.", first};
  g_free(text);
  return error;
}

std::optional<EngineError> Encoder::Start(const EncoderInput& input,
                                          const EncoderSettings& settings) {
  input_ = input;
  std::string text = "video/x-raw,format=I420";
  if (path_.input == PathInput::kDmaBuf) {
    auto format = DmaBufFormatOf(input.format, input.modifier, RunningGst());
    if (auto* const why = std::get_if<std::string>(&format)) {
      return EngineError{"PATH_UNFIT", std::move(*why), "The next path is tried."};
    }
    text = "video/x-raw(memory:DMABuf)," + std::get<DmaBufFormat>(format).fields;
    dmabuf_allocator_ = gst_dmabuf_allocator_new();
  }
  GstCaps* const caps = gst_caps_from_string(text.c_str());
  gst_caps_set_simple(caps, "width", G_TYPE_INT, static_cast<gint>(input.width), "height",
                      G_TYPE_INT, static_cast<gint>(input.height), "framerate", GST_TYPE_FRACTION,
                      static_cast<gint>(settings.max_fps), 1, "colorimetry", G_TYPE_STRING,
                      path_.colorimetry, "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1, nullptr);
  const std::unique_ptr<GstCaps, decltype(&gst_caps_unref)> owned(caps, gst_caps_unref);
  if (auto unfit = Fits(caps, settings)) return unfit;
  // The source never blocks: the owner submits one picture at a time. Nothing in here waits for a
  // clock.
  const std::string description =
      "appsrc name=source is-live=true format=time stream-type=stream block=false ! " +
      DescribePath(path_, settings) +
      " ! appsink name=sink sync=false async=false enable-last-sample=false max-buffers=4";
  GError* error = nullptr;
  pipeline_ =
      gst_parse_launch_full(description.c_str(), nullptr, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (pipeline_ == nullptr) {
    EngineError failure{"ENCODER_FAILED",
                        "The pipeline of " + path_.engine +
                            " cannot be built: " + (error != nullptr ? error->message : "?"),
                        "Install the GStreamer of the distribution, or use another engine."};
    g_clear_error(&error);
    return failure;
  }
  g_clear_error(&error);
  source_ = gst_bin_get_by_name(GST_BIN(pipeline_), "source");
  sink_ = gst_bin_get_by_name(GST_BIN(pipeline_), "sink");
  encoder_ = gst_bin_get_by_name(GST_BIN(pipeline_), "encoder");

  gst_app_src_set_caps(GST_APP_SRC(source_), caps);
  if (GstPad* const pad = gst_element_get_static_pad(encoder_, "sink")) {
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, CountCopy, this, nullptr);
    gst_object_unref(pad);
  }

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
  if (start_error_) return start_error_;
  if (started == GST_STATE_CHANGE_FAILURE) {
    return EngineError{"ENCODER_FAILED", "The pipeline of " + path_.engine + " does not start.",
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
  for (const auto& [surface, memory] : memories_) gst_memory_unref(memory);
  if (dmabuf_allocator_ != nullptr) gst_object_unref(dmabuf_allocator_);
}

std::optional<EngineError> Encoder::Adopt() {
  const std::lock_guard lock(mutex_);
  starting_ = false;
  return start_error_;
}

void Encoder::Silence() {
  const std::lock_guard lock(observer_mutex_);
  silent_ = true;
}

void Encoder::ForceKey() {
  GstEvent* const event = gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0);
  gst_element_send_event(sink_, event);
}

void Encoder::Push(GstBuffer* buffer, uint64_t timestamp) {
  if (!first_timestamp_) first_timestamp_ = timestamp;
  GST_BUFFER_PTS(buffer) = timestamp - *first_timestamp_;
  // A failure here is also a message on the bus.
  (void)gst_app_src_push_buffer(GST_APP_SRC(source_), buffer);
}

/// One memory for each surface: elements keep what they have imported with it.
GstMemory* Encoder::MemoryOf(const std::shared_ptr<const DmaBuf>& surface) {
  const auto found = memories_.find(surface);
  if (found != memories_.end()) return gst_memory_ref(found->second);
  // A producer that replaces its surfaces for ever does not fill the memory of this process.
  if (memories_.size() >= kMaxSurfaces) {
    for (const auto& [old, memory] : memories_) gst_memory_unref(memory);
    memories_.clear();
  }
  // The descriptor is the surface's.
  GstMemory* const memory = gst_dmabuf_allocator_alloc_with_flags(
      dmabuf_allocator_, surface->fd.get(), surface->offset + surface->size,
      GST_FD_MEMORY_FLAG_DONT_CLOSE);
  if (memory == nullptr) return nullptr;
  memories_.emplace(surface, memory);
  return gst_memory_ref(memory);
}

void Encoder::Submit(std::shared_ptr<const DmaBuf> surface, uint64_t timestamp, bool key) {
  static const GQuark kShared = g_quark_from_static_string("scanbridge-surface");
  if (key) ForceKey();
  GstMemory* const memory = MemoryOf(surface);
  if (memory == nullptr) {
    Fail({"ENCODER_FAILED", "A dma-buf cannot be handed to GStreamer.", "The next path is tried.",
          "source"});
    return;
  }
  GstBuffer* const buffer = gst_buffer_new();
  gst_buffer_append_memory(buffer, memory);
  gsize offsets[GST_VIDEO_MAX_PLANES] = {surface->offset};
  gint strides[GST_VIDEO_MAX_PLANES] = {static_cast<gint>(surface->stride)};
  GstVideoFormat format = GST_VIDEO_FORMAT_ENCODED;
  if (RunningGst().minor < 24) {
    const auto named = DmaBufFormatOf(surface->format, surface->modifier, RunningGst());
    if (const auto* const fields = std::get_if<DmaBufFormat>(&named)) {
      format = gst_video_format_from_string(fields->fields.substr(7).c_str());
    }
  } else {
    format = gst_video_format_from_string("DMA_DRM");
  }
  gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, format, surface->width,
                                 surface->height, 1, offsets, strides);
  gst_mini_object_set_qdata(GST_MINI_OBJECT(buffer), kShared, new Shared{std::move(surface), *this},
                            Shared::End);
  Push(buffer, timestamp);
}

/// A picture in system memory that is not what was handed over was copied on its way.
GstPadProbeReturn Encoder::CountCopy(GstPad* pad, GstPadProbeInfo* info, gpointer self) {
  auto* const encoder = static_cast<Encoder*>(self);
  GstBuffer* const buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  GstCaps* const caps = gst_pad_get_current_caps(pad);
  GstCapsFeatures* const features = caps != nullptr ? gst_caps_get_features(caps, 0) : nullptr;
  const bool system =
      features == nullptr || gst_caps_features_contains(features, "memory:SystemMemory");
  if (system && gst_buffer_n_memory(buffer) > 0) {
    GstMemory* memory = gst_buffer_peek_memory(buffer, 0);
    while (memory->parent != nullptr) memory = memory->parent;
    // Ours is wrapped, read only and aligned as we made it; any other allocator's is a copy.
    const bool ours =
        GST_MEMORY_FLAG_IS_SET(memory, GST_MEMORY_FLAG_READONLY) || gst_is_dmabuf_memory(memory);
    const std::lock_guard lock(encoder->observer_mutex_);
    if (!ours && !encoder->silent_) encoder->observer_.OnPictureCopied();
  }
  if (caps != nullptr) gst_caps_unref(caps);
  return GST_PAD_PROBE_OK;
}

void Encoder::Submit(std::shared_ptr<I420Picture> picture, uint64_t timestamp, bool key) {
  if (key) ForceKey();
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
                                     new Lease{std::move(picture), *this}, Lease::End));
  Push(buffer, timestamp);
}

void Encoder::SetBitrate(uint32_t kbps) {
  scanbridge::host::SetBitrate(encoder_, path_.bitrate, kbps);
}

void Encoder::TakeSample(GstElement* sink) {
  GstSample* const sample = gst_app_sink_pull_sample(GST_APP_SINK(sink));
  if (sample == nullptr) return;
  GstBuffer* const buffer = gst_sample_get_buffer(sample);
  GstMapInfo map;
  if (buffer != nullptr && gst_buffer_map(buffer, &map, GST_MAP_READ)) {
    const std::lock_guard lock(observer_mutex_);
    if (!silent_) {
      observer_.OnAccessUnit(GST_BUFFER_PTS(buffer) - path_.time_shift + *first_timestamp_,
                             !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT),
                             {map.data, map.size});
    }
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
  const std::lock_guard lock(observer_mutex_);
  if (!silent_) observer_.OnEncoderError(std::move(error));
}

GstBusSyncReply Encoder::OnMessage(GstBus*, GstMessage* message, gpointer self) {
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    auto* const encoder = static_cast<Encoder*>(self);
    ErrorText text = TextOf(message);
    // "Internal data stream error" says nothing; the flow that ended it does.
    constexpr std::string_view kReason = "reason ";
    if (const size_t at = text.debug.find(kReason); at != std::string::npos) {
      const size_t start = at + kReason.size();
      text.message += " (" + text.debug.substr(start, text.debug.find(' ', start) - start) + ")";
    }
    const char* const element =
        GST_MESSAGE_SRC(message) != nullptr ? GST_OBJECT_NAME(GST_MESSAGE_SRC(message)) : "?";
    encoder->Fail({"ENCODER_FAILED",
                   "The encoder " + encoder->path_.engine + " failed: " + text.message,
                   "The session starts it anew; if it fails again, use another engine.", element,
                   std::move(text.debug)});
  }
  // Nobody reads this bus: what is not an error would pile up.
  gst_message_unref(message);
  return GST_BUS_DROP;
}

}  // namespace scanbridge::host
