// SPDX-License-Identifier: Apache-2.0
#include "encode/importers.h"

#include <gst/gst.h>

#include <string_view>

#include "encode/encoder.h"

namespace scanbridge::host {
namespace {

/// Enough for a person to read.
constexpr size_t kMaxFormats = 64;

void AddFormats(const GValue* value, std::vector<std::string>& formats) {
  if (value == nullptr) return;
  if (G_VALUE_HOLDS_STRING(value)) {
    const std::string text = g_value_get_string(value);
    if (text != "DMA_DRM" && formats.size() < kMaxFormats) formats.push_back(text);
  } else if (GST_VALUE_HOLDS_LIST(value)) {
    for (guint i = 0; i < gst_value_list_get_size(value); i++) {
      AddFormats(gst_value_list_get_value(value, i), formats);
    }
  }
}

std::vector<std::string> DmaBufFormats(GstElementFactory* factory) {
  std::vector<std::string> formats;
  const GList* templates = gst_element_factory_get_static_pad_templates(factory);
  for (; templates != nullptr; templates = templates->next) {
    auto* const pad = static_cast<GstStaticPadTemplate*>(templates->data);
    if (pad->direction != GST_PAD_SINK) continue;
    GstCaps* const caps = gst_static_pad_template_get_caps(pad);
    for (guint i = 0; i < gst_caps_get_size(caps); i++) {
      if (!gst_caps_features_contains(gst_caps_get_features(caps, i), "memory:DMABuf")) continue;
      const GstStructure* const structure = gst_caps_get_structure(caps, i);
      AddFormats(gst_structure_get_value(structure, "drm-format"), formats);
      AddFormats(gst_structure_get_value(structure, "format"), formats);
    }
    gst_caps_unref(caps);
  }
  return formats;
}

std::string RenderNodeOf(const gchar* name) {
  GstElement* const element = gst_element_factory_make(name, nullptr);
  if (element == nullptr) return {};
  std::string node;
  if (g_object_class_find_property(G_OBJECT_GET_CLASS(element), "device-path") != nullptr) {
    gchar* path = nullptr;
    g_object_get(element, "device-path", &path, nullptr);
    if (path != nullptr) node = path;
    g_free(path);
  }
  gst_object_unref(element);
  return node;
}

}  // namespace

std::vector<Importer> FindImporters() {
  InitGStreamer();
  std::vector<Importer> importers;
  GList* const features =
      gst_registry_get_feature_list(gst_registry_get(), GST_TYPE_ELEMENT_FACTORY);
  for (const GList* each = features; each != nullptr; each = each->next) {
    const gchar* const name = GST_OBJECT_NAME(each->data);
    const std::string_view text = name;
    const bool va = text.starts_with("va") && text.ends_with("postproc");
    if (!va && text != "glupload") continue;
    importers.push_back({std::string(text), va ? RenderNodeOf(name) : std::string(),
                         DmaBufFormats(GST_ELEMENT_FACTORY(each->data))});
  }
  gst_plugin_feature_list_free(features);
  return importers;
}

}  // namespace scanbridge::host
