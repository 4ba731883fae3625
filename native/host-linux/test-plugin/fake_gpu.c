// SPDX-License-Identifier: Apache-2.0
#include "fake_gpu.h"

#include <stdlib.h>
#include <string.h>

#include "fake_convert.h"
#include "fake_encoder.h"
#include "fake_fault.h"

#define SYSTEM "video/x-raw,format={NV12,I420,YV12,BGRA,RGBA,BGRx,RGBx}"
#define IN(memory, formats) "video/x-raw(memory:" memory "),format=" formats
/// Replaced by the formats of the installation, or by nothing.
#define DMABUF "@DMABUF@"

struct element {
  const char* family;
  const char* name;
  const char* sink;
  /// NULL: an encoder.
  const char* src;
  /// Of an encoder: the real one inside, and the caps that it gives.
  const char* inner;
};

#define NV_SINK SYSTEM ";" IN("GLMemory", "{NV12,RGBA}") ";" IN("CUDAMemory", "{NV12,I420,BGRA}")
#define VA_SINK IN("VAMemory", "{NV12}") ";video/x-raw,format={NV12}"
#define H264 \
  "x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max=2147483647 bframes=0"
#define H265                                                                                  \
  "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=2147483647 "                   \
  "option-string=bframes=0:rc-lookahead=0:scenecut=0:repeat-headers=1:frame-threads=1:wpp=0:" \
  "pools=none:log-level=1"
#define AV1                                                                           \
  "av1enc usage-profile=realtime cpu-used=8 end-usage=vbr lag-in-frames=0 threads=1 " \
  "keyframe-mode=disabled"
#define VP9                                                                                  \
  "vp9enc deadline=1 cpu-used=8 end-usage=cbr lag-in-frames=0 auto-alt-ref=false threads=1 " \
  "keyframe-mode=disabled"

static const struct element kElements[] = {
    {"gl", "glupload", DMABUF IN("GLMemory", "{BGRx,BGRA,RGBA,RGBx}") ";" SYSTEM,
     IN("GLMemory", "{BGRx,BGRA,RGBA,RGBx,NV12,I420}"), NULL},
    {"gl", "glcolorconvert", IN("GLMemory", "{BGRx,BGRA,RGBA,RGBx,NV12,I420}"),
     IN("GLMemory", "{NV12,RGBA}"), NULL},
    {"nvidia", "cudaupload", SYSTEM ";" IN("GLMemory", "{NV12,RGBA}"),
     IN("CUDAMemory", "{NV12,I420,BGRA}"), NULL},
    {"nvidia", "nvh264enc", NV_SINK, NULL, H264},
    {"nvidia", "nvh265enc", NV_SINK, NULL, H265},
    {"nvidia", "nvav1enc", NV_SINK, NULL, AV1},
    {"va", "vapostproc", DMABUF IN("VAMemory", "{NV12,BGRA}") ";" SYSTEM,
     IN("VAMemory", "{NV12,BGRA}") ";" SYSTEM, NULL},
    {"va", "vah264enc", VA_SINK, NULL, H264},
    {"va", "vah265enc", VA_SINK, NULL, H265},
    {"va", "vaav1enc", VA_SINK, NULL, AV1},
    {"va", "vavp9enc", VA_SINK, NULL, VP9},
    {"valp", "vapostproc", DMABUF IN("VAMemory", "{NV12,BGRA}") ";" SYSTEM,
     IN("VAMemory", "{NV12,BGRA}") ";" SYSTEM, NULL},
    {"valp", "vah264lpenc", VA_SINK, NULL, H264},
    {"va129", "varenderD129postproc", DMABUF IN("VAMemory", "{NV12,BGRA}") ";" SYSTEM,
     IN("VAMemory", "{NV12,BGRA}") ";" SYSTEM, NULL},
    {"va129", "varenderD129h264enc", VA_SINK, NULL, H264},
    {"qsv", "qsvh264enc", VA_SINK, NULL, H264},
    {"vaapi", "vaapipostproc", SYSTEM, IN("VASurface", "{NV12}"), NULL},
    {"vaapi", "vaapih264enc", IN("VASurface", "{NV12}"), NULL, H264},
};

static gboolean listed(const char* list, const char* word) {
  gchar** const words = g_strsplit(list != NULL ? list : "", ",", -1);
  const gboolean found = g_strv_contains((const gchar* const*)words, word);
  g_strfreev(words);
  return found;
}

static gboolean has_drm_formats(void) {
  guint major, minor, micro, nano;
  gst_version(&major, &minor, &micro, &nano);
  return minor >= 24;
}

static char* with_dmabuf(const char* text, const char* formats) {
  const char* const rest =
      strncmp(text, DMABUF, strlen(DMABUF)) == 0 ? text + strlen(DMABUF) : text;
  if (rest == text || formats == NULL || *formats == 0) return g_strdup(rest);
  return g_strdup_printf(has_drm_formats()
                             ? "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format={%s};%s"
                             : "video/x-raw(memory:DMABuf),format={%s};%s",
                         formats, rest);
}

static void forget(void) {
  GstRegistry* const registry = gst_registry_get();
  for (guint i = 0; i < G_N_ELEMENTS(kElements); i++) {
    GstPluginFeature* const feature =
        gst_registry_find_feature(registry, kElements[i].name, GST_TYPE_ELEMENT_FACTORY);
    if (feature == NULL) continue;
    gst_registry_remove_feature(registry, feature);
    gst_object_unref(feature);
  }
}

void fake_gpu_install(GstPlugin* plugin, const struct fake_gpu* gpu) {
  // The name of a type is for good: an installation with other caps has types of its own.
  static guint installation;
  // A plug-in is loaded once a process, and its features may be known from the registry's file.
  if (plugin == NULL) forget();
  installation++;
  fake_faults_set(gpu->faults);
  for (guint i = 0; i < G_N_ELEMENTS(kElements); i++) {
    const struct element* const each = &kElements[i];
    if (!listed(gpu->families, each->family)) continue;
    gchar* const sink = with_dmabuf(each->sink, gpu->dmabuf_formats);
    gchar* const type = g_strdup_printf("Fake%u%s", installation, each->name);
    const GType registered = each->src != NULL
                                 ? fake_convert_type(type, each->name, sink, each->src)
                                 : fake_encoder_type(type, each->name, sink, each->inner);
    gst_element_register(plugin, each->name, GST_RANK_NONE, registered);
    g_free(type);
    g_free(sink);
  }
}

guint64 fake_gpu_time(void) {
  return fake_convert_time();
}
