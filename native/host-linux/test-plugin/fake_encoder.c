// SPDX-License-Identifier: Apache-2.0
#include "fake_encoder.h"

#include <string.h>

#include "fake_convert.h"
#include "fake_fault.h"

struct fake_encoder {
  GstBin parent;
  GstElement* inner;
  guint pictures;
};

struct fake_encoder_class {
  GstBinClass parent;
  const char* name;
  const char* sink;
  const char* inner;
};

struct description {
  const char* name;
  gchar* sink;
  gchar* inner;
};

static GstElementClass* parent_class;

/// x264enc and x265enc move all times by this, as the GPUs' encoders do not.
#define SHIFT (1000ull * 3600 * GST_SECOND)

static GstPadProbeReturn on_picture(GstPad* pad, GstPadProbeInfo* info, gpointer data) {
  (void)pad, (void)info;
  struct fake_encoder* const self = data;
  const char* const name = ((struct fake_encoder_class*)G_OBJECT_GET_CLASS(self))->name;
  return fake_picture(GST_ELEMENT(self), name, ++self->pictures) == FAKE_FINE ? GST_PAD_PROBE_OK
                                                                              : GST_PAD_PROBE_DROP;
}

static GstPadProbeReturn on_segment(GstPad* pad, GstPadProbeInfo* info, gpointer data) {
  (void)pad, (void)data;
  GstEvent* const event = GST_PAD_PROBE_INFO_EVENT(info);
  if (GST_EVENT_TYPE(event) != GST_EVENT_SEGMENT) return GST_PAD_PROBE_OK;
  GstSegment segment;
  gst_event_copy_segment(event, &segment);
  if (segment.start < SHIFT) return GST_PAD_PROBE_OK;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  GST_PAD_PROBE_INFO_DATA(info) = gst_event_new_segment(&segment);
  gst_event_unref(event);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn on_unit(GstPad* pad, GstPadProbeInfo* info, gpointer data) {
  (void)pad, (void)data;
  GstBuffer* const buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));
  if (GST_BUFFER_PTS(buffer) >= SHIFT) GST_BUFFER_PTS(buffer) -= SHIFT;
  if (GST_BUFFER_DTS_IS_VALID(buffer)) GST_BUFFER_DTS(buffer) = GST_BUFFER_PTS(buffer);
  GST_PAD_PROBE_INFO_DATA(info) = buffer;
  return GST_PAD_PROBE_OK;
}

static void instance_init(GTypeInstance* instance, gpointer klass) {
  struct fake_encoder* const self = (struct fake_encoder*)instance;
  const struct fake_encoder_class* const type = klass;
  // One type of its own a class: its template has the caps of the GPU, behind it there is system
  // memory.
  gchar* const name = g_strdup_printf("%sInput", G_OBJECT_CLASS_NAME(klass));
  GType input_type = g_type_from_name(name);
  if (input_type == 0) {
    input_type = fake_convert_type(name, type->name, type->sink, "video/x-raw,format=I420");
  }
  g_free(name);
  GstElement* const input = g_object_new(input_type, NULL);
  self->inner = gst_parse_launch(type->inner, NULL);
  gst_bin_add_many(GST_BIN(self), input, self->inner, NULL);
  gst_element_link(input, self->inner);
  GstPad* pad = gst_element_get_static_pad(input, "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_picture, self, NULL);
  gst_element_add_pad(GST_ELEMENT(self),
                      gst_ghost_pad_new_from_template(
                          "sink", pad, gst_element_class_get_pad_template(klass, "sink")));
  gst_object_unref(pad);
  pad = gst_element_get_static_pad(self->inner, "src");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_unit, self, NULL);
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_segment, self, NULL);
  gst_element_add_pad(GST_ELEMENT(self), gst_ghost_pad_new("src", pad));
  gst_object_unref(pad);
}

static void set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  (void)spec;
  struct fake_encoder* const self = (struct fake_encoder*)object;
  if (id != 1) return;
  const guint kbps = g_value_get_uint(value);
  GObjectClass* const inner = G_OBJECT_GET_CLASS(self->inner);
  if (g_object_class_find_property(inner, "bitrate") != NULL) {
    g_object_set(self->inner, "bitrate", kbps, NULL);
  } else if (strncmp(GST_OBJECT_NAME(self->inner), "vp9", 3) == 0) {
    g_object_set(self->inner, "target-bitrate", (gint)(kbps * 1000), NULL);
  } else {
    g_object_set(self->inner, "target-bitrate", kbps, NULL);
  }
}

static GstStateChangeReturn change_state(GstElement* element, GstStateChange change) {
  const char* const name = ((struct fake_encoder_class*)G_OBJECT_GET_CLASS(element))->name;
  if (change == GST_STATE_CHANGE_READY_TO_PAUSED && !fake_start(name)) {
    return GST_STATE_CHANGE_FAILURE;
  }
  return parent_class->change_state(element, change);
}

static void class_init(gpointer klass, gpointer data) {
  const struct description* const description = data;
  struct fake_encoder_class* const type = klass;
  parent_class = g_type_class_peek_parent(klass);
  type->name = description->name;
  type->sink = description->sink;
  type->inner = description->inner;
  GObjectClass* const object = klass;
  object->set_property = set_property;
  const GParamFlags flags = G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS;
  g_object_class_install_property(object, 1,
                                  g_param_spec_uint("bitrate", NULL, NULL, 0, G_MAXUINT, 0, flags));
  // Real ones take these, and the software inside is set up already.
  g_object_class_install_property(object, 2,
                                  g_param_spec_uint("b-frames", NULL, NULL, 0, 16, 0, flags));
  g_object_class_install_property(object, 3,
                                  g_param_spec_boolean("zerolatency", NULL, NULL, FALSE, flags));
  g_object_class_install_property(object, 4, g_param_spec_boolean("aud", NULL, NULL, FALSE, flags));
  GstElementClass* const element = klass;
  element->change_state = change_state;
  GstCaps* const sink = gst_caps_from_string(description->sink);
  GstCaps* const any = gst_caps_from_string(
      "video/x-h264,stream-format=byte-stream,alignment=au;"
      "video/x-h265,stream-format=byte-stream,alignment=au;"
      "video/x-av1,stream-format=obu-stream,alignment=tu;video/x-vp9");
  gst_element_class_add_pad_template(
      element, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, sink));
  gst_element_class_add_pad_template(element,
                                     gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, any));
  gst_caps_unref(sink);
  gst_caps_unref(any);
  gst_element_class_set_static_metadata(element, "Fake", "Encoder/Video", "A fake for tests",
                                        "Scanbridge");
}

GType fake_encoder_type(const char* type, const char* name, const char* sink, const char* inner) {
  struct description* const description = g_new0(struct description, 1);
  description->name = g_intern_string(name);
  description->sink = g_strdup(sink);
  description->inner = g_strdup(inner);
  const GTypeInfo info = {
      .class_size = sizeof(struct fake_encoder_class),
      .class_init = class_init,
      .class_data = description,
      .instance_size = sizeof(struct fake_encoder),
      .instance_init = instance_init,
  };
  return g_type_register_static(GST_TYPE_BIN, type, &info, 0);
}
