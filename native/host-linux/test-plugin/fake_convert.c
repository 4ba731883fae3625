// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "fake_convert.h"

#include <gst/base/gstbasetransform.h>
#include <gst/video/video.h>
#include <string.h>
#include <time.h>

#include "fake_fault.h"

struct fake_convert {
  GstBaseTransform parent;
  GstVideoInfo in;
  GstVideoInfo out;
  GstVideoConverter* converter;
  guint pictures;
};

struct fake_convert_class {
  GstBaseTransformClass parent;
  const char* name;
};

struct description {
  const char* name;
  gchar* sink;
  gchar* src;
};

static GstBaseTransformClass* parent_class;
static gint64 spent;

guint64 fake_convert_time(void) {
  return (guint64)__atomic_load_n(&spent, __ATOMIC_RELAXED);
}

static const char* name_of(struct fake_convert* self) {
  return ((struct fake_convert_class*)G_OBJECT_GET_CLASS(self))->name;
}

static GstCaps* transform_caps(GstBaseTransform* base, GstPadDirection direction, GstCaps* caps,
                               GstCaps* filter) {
  // Sizes and rates stay; formats and memory are the template's.
  GstPad* const other = direction == GST_PAD_SINK ? base->srcpad : base->sinkpad;
  GstCaps* const all = gst_pad_get_pad_template_caps(other);
  GstCaps* result = gst_caps_new_empty();
  for (guint i = 0; i < gst_caps_get_size(caps); i++) {
    const GstStructure* const from = gst_caps_get_structure(caps, i);
    GstCaps* const copy = gst_caps_copy(all);
    static const char* const kept[] = {"width", "height", "framerate", "pixel-aspect-ratio"};
    for (guint k = 0; k < G_N_ELEMENTS(kept); k++) {
      const GValue* const value = gst_structure_get_value(from, kept[k]);
      if (value != NULL) gst_caps_set_value(copy, kept[k], value);
    }
    result = gst_caps_merge(result, copy);
  }
  gst_caps_unref(all);
  if (filter != NULL) {
    GstCaps* const cut = gst_caps_intersect_full(filter, result, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref(result);
    result = cut;
  }
  return result;
}

/// DMA_DRM has no GstVideoInfo that says how the pixels lie; LINEAR fourccs do.
static gboolean read_info(GstCaps* caps, GstVideoInfo* info) {
  GstCaps* const plain = gst_caps_copy(caps);
  GstStructure* const structure = gst_caps_get_structure(plain, 0);
  const char* const drm = gst_structure_get_string(structure, "drm-format");
  if (drm != NULL) {
    const char* const format = strncmp(drm, "XR24", 4) == 0   ? "BGRx"
                               : strncmp(drm, "AR24", 4) == 0 ? "BGRA"
                                                              : "RGBx";
    gst_structure_set(structure, "format", G_TYPE_STRING, format, NULL);
    gst_structure_remove_field(structure, "drm-format");
  }
  gst_caps_set_features(plain, 0, NULL);
  const gboolean read = gst_video_info_from_caps(info, plain);
  gst_caps_unref(plain);
  return read;
}

static gboolean set_caps(GstBaseTransform* base, GstCaps* in, GstCaps* out) {
  struct fake_convert* const self = (struct fake_convert*)base;
  if (fake_has_fault(name_of(self), "link")) return FALSE;
  g_clear_pointer(&self->converter, gst_video_converter_free);
  if (!read_info(in, &self->in) || !read_info(out, &self->out)) return FALSE;
  self->converter = gst_video_converter_new(&self->in, &self->out, NULL);
  return self->converter != NULL;
}

static GstFlowReturn prepare(GstBaseTransform* base, GstBuffer* in, GstBuffer** out) {
  struct fake_convert* const self = (struct fake_convert*)base;
  *out = gst_buffer_new_allocate(NULL, self->out.size, NULL);
  gst_buffer_copy_into(*out, in, GST_BUFFER_COPY_TIMESTAMPS | GST_BUFFER_COPY_FLAGS, 0, -1);
  return GST_FLOW_OK;
}

static guint64 now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (guint64)time.tv_sec * 1000000000 + (guint64)time.tv_nsec;
}

static GstFlowReturn transform(GstBaseTransform* base, GstBuffer* in, GstBuffer* out) {
  struct fake_convert* const self = (struct fake_convert*)base;
  switch (fake_picture(GST_ELEMENT(base), name_of(self), ++self->pictures)) {
    case FAKE_ERROR:
      return GST_FLOW_ERROR;
    case FAKE_SWALLOW:
      return GST_BASE_TRANSFORM_FLOW_DROPPED;
    case FAKE_FINE:
      break;
  }
  const guint64 start = now();
  // The video meta of a dma-buf says where its rows are; its format is the importer's business.
  GstVideoInfo info = self->in;
  const GstVideoMeta* const meta = gst_buffer_get_video_meta(in);
  if (meta != NULL) {
    for (guint i = 0; i < meta->n_planes; i++) {
      info.offset[i] = meta->offset[i];
      info.stride[i] = meta->stride[i];
    }
  }
  GstMapInfo map;
  GstVideoFrame from;
  GstVideoFrame to;
  if (!gst_buffer_map(in, &map, GST_MAP_READ)) return GST_FLOW_ERROR;
  memset(&from, 0, sizeof from);
  from.info = info;
  for (guint i = 0; i < GST_VIDEO_INFO_N_PLANES(&info); i++) {
    from.data[i] = map.data + info.offset[i];
  }
  if (gst_video_frame_map(&to, &self->out, out, GST_MAP_WRITE)) {
    gst_video_converter_frame(self->converter, &from, &to);
    gst_video_frame_unmap(&to);
  }
  gst_buffer_unmap(in, &map);
  __atomic_add_fetch(&spent, (gint64)(now() - start), __ATOMIC_RELAXED);
  return GST_FLOW_OK;
}

static gboolean start(GstBaseTransform* base) {
  return fake_start(name_of((struct fake_convert*)base));
}

static gboolean stop(GstBaseTransform* base) {
  struct fake_convert* const self = (struct fake_convert*)base;
  g_clear_pointer(&self->converter, gst_video_converter_free);
  return TRUE;
}

static void no_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  (void)object, (void)id, (void)value, (void)spec;
}

static void class_init(gpointer klass, gpointer data) {
  const struct description* const description = data;
  GstBaseTransformClass* const base = klass;
  GstElementClass* const element = klass;
  parent_class = g_type_class_peek_parent(klass);
  ((struct fake_convert_class*)klass)->name = description->name;
  G_OBJECT_CLASS(klass)->set_property = no_property;
  g_object_class_install_property(G_OBJECT_CLASS(klass), 1,
                                  g_param_spec_int("cuda-device-id", NULL, NULL, -1, G_MAXINT, -1,
                                                   G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS));
  GstCaps* const sink = gst_caps_from_string(description->sink);
  GstCaps* const src = gst_caps_from_string(description->src);
  gst_element_class_add_pad_template(
      element, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, sink));
  gst_element_class_add_pad_template(element,
                                     gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, src));
  gst_caps_unref(sink);
  gst_caps_unref(src);
  gst_element_class_set_static_metadata(element, "Fake", "Filter/Video", "A fake for tests",
                                        "Scanbridge");
  base->transform_caps = transform_caps;
  base->set_caps = set_caps;
  base->prepare_output_buffer = prepare;
  base->transform = transform;
  base->start = start;
  base->stop = stop;
}

GType fake_convert_type(const char* type, const char* name, const char* sink, const char* src) {
  struct description* const description = g_new0(struct description, 1);
  description->name = g_intern_string(name);
  description->sink = g_strdup(sink);
  description->src = g_strdup(src);
  const GTypeInfo info = {
      .class_size = sizeof(struct fake_convert_class),
      .class_init = class_init,
      .class_data = description,
      .instance_size = sizeof(struct fake_convert),
  };
  return g_type_register_static(GST_TYPE_BASE_TRANSFORM, type, &info, 0);
}
