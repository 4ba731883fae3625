// SPDX-License-Identifier: Apache-2.0
#include "encode/engine_table.h"

#include <algorithm>

namespace scanbridge::host {
namespace {

// Limited range, BT.601 matrix, sRGB transfer, BT.709 primaries: what a desktop is once libyuv has
// converted it.
constexpr char kBt601[] = "2:4:7:1";
constexpr char kRgb[] = "sRGB";

/// x264enc shifts times by 1000 hours, so that decoding times never become negative.
constexpr uint64_t kX264TimeShift = 1000ull * 3600 * GST_SECOND;

constexpr char kBase[] = "gstreamer1.0-plugins-base";
constexpr char kGood[] = "gstreamer1.0-plugins-good";
constexpr char kBad[] = "gstreamer1.0-plugins-bad";
constexpr char kUgly[] = "gstreamer1.0-plugins-ugly";
constexpr char kGl[] = "gstreamer1.0-gl";
constexpr char kVaapi[] = "gstreamer1.0-vaapi";

/// How pictures get to a GPU's encoder.
struct Route {
  const char* name;
  PathInput input;
  const char* chain;
  std::vector<ElementNeed> needs;
};

/// A GPU's encoder of one codec.
struct HardwareEncoder {
  Codec codec;
  const char* element;
  /// Appended to the name of the path.
  const char* variant;
  const char* options;
};

const std::vector<Route>& NvidiaRoutes() {
  // A copy on the GPU ends in a texture of GStreamer's own pool, and that one is registered with
  // CUDA, once: registering the compositor's buffers would pin them, and they come and go.
  static const std::vector<Route> routes = {
      {"dmabuf-gl-cuda",
       PathInput::kDmaBuf,
       "glupload ! glcolorconvert ! video/x-raw(memory:GLMemory),format=NV12 ! "
       "cudaupload cuda-device-id={cuda} ! video/x-raw(memory:CUDAMemory),format=NV12",
       {{"glupload", kGl}, {"glcolorconvert", kGl}, {"cudaupload", kBad}}},
      {"dmabuf-gl",
       PathInput::kDmaBuf,
       "glupload ! glcolorconvert ! video/x-raw(memory:GLMemory),format=NV12",
       {{"glupload", kGl}, {"glcolorconvert", kGl}}},
      {"cuda-upload",
       PathInput::kSystem,
       "cudaupload cuda-device-id={cuda} ! video/x-raw(memory:CUDAMemory)",
       {{"cudaupload", kBad}}},
      {"system-memory", PathInput::kSystem, "", {}},
  };
  return routes;
}

const std::vector<Route>& VaRoutes() {
  static const std::vector<Route> routes = {
      {"dmabuf",
       PathInput::kDmaBuf,
       "{va}postproc ! video/x-raw(memory:VAMemory),format=NV12",
       {{"{va}postproc", kBad}}},
      {"upload",
       PathInput::kSystem,
       "{va}postproc ! video/x-raw(memory:VAMemory),format=NV12",
       {{"{va}postproc", kBad}}},
  };
  return routes;
}

const std::vector<Route>& QsvRoutes() {
  static const std::vector<Route> routes = {
      VaRoutes()[0],
      {"system-memory",
       PathInput::kSystem,
       "videoconvert ! video/x-raw,format=NV12",
       {{"videoconvert", kBase}}},
  };
  return routes;
}

const std::vector<Route>& LegacyVaRoutes() {
  static const std::vector<Route> routes = {
      {"legacy-upload",
       PathInput::kSystem,
       "vaapipostproc ! video/x-raw(memory:VASurface),format=NV12",
       {{"vaapipostproc", kVaapi}}},
  };
  return routes;
}

// No B-frames, no look-ahead, an endless group of pictures: key frames come when they are asked
// for. The names of presets differ between versions of the elements.
constexpr char kNvOptions[] =
    "preset=p4|low-latency-hp tune=ultra-low-latency rc-mode=cbr|cbr-ld-hq zerolatency=true "
    "zero-reorder-delay=true bframes=0 b-frames=0 rc-lookahead=0 gop-size=-1 aud=true "
    "repeat-sequence-header=true";
constexpr char kVaOptions[] =
    "rate-control=cbr target-usage=6 b-frames=0 ref-frames=1 key-int-max=1024 aud=true";
constexpr char kQsvOptions[] =
    "rate-control=cbr low-latency=true target-usage=7 b-frames=0 ref-frames=1 gop-size=2147483647";
constexpr char kLegacyVaOptions[] =
    "rate-control=cbr quality-level=7 max-bframes=0 keyframe-period=4294967295 aud=true";

const std::vector<HardwareEncoder> kNvEncoders = {
    {Codec::kH264, "nvh264{device}enc", "", kNvOptions},
    {Codec::kHevc, "nvh265{device}enc", "", kNvOptions},
    {Codec::kAv1, "nvav1{device}enc", "", kNvOptions},
};
const std::vector<HardwareEncoder> kVaEncoders = {
    {Codec::kH264, "{va}h264enc", "", kVaOptions},
    {Codec::kH264, "{va}h264lpenc", "-low-power", kVaOptions},
    {Codec::kHevc, "{va}h265enc", "", kVaOptions},
    {Codec::kHevc, "{va}h265lpenc", "-low-power", kVaOptions},
    {Codec::kAv1, "{va}av1enc", "", kVaOptions},
    {Codec::kAv1, "{va}av1lpenc", "-low-power", kVaOptions},
    {Codec::kVp9, "{va}vp9enc", "", kVaOptions},
    {Codec::kVp9, "{va}vp9lpenc", "-low-power", kVaOptions},
};
const std::vector<HardwareEncoder> kQsvEncoders = {
    {Codec::kH264, "qsvh264enc", "", kQsvOptions},
    {Codec::kHevc, "qsvh265enc", "", kQsvOptions},
    {Codec::kAv1, "qsvav1enc", "", kQsvOptions},
    {Codec::kVp9, "qsvvp9enc", "", kQsvOptions},
};
const std::vector<HardwareEncoder> kLegacyVaEncoders = {
    {Codec::kH264, "vaapih264enc", "", kLegacyVaOptions},
    {Codec::kHevc, "vaapih265enc", "", kLegacyVaOptions},
};

/// What follows an encoder of a GPU: parameter sets in front of each key frame.
const char* TailOf(Codec codec) {
  switch (codec) {
    case Codec::kH264:
      return "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au";
    case Codec::kHevc:
      return "h265parse config-interval=-1 ! video/x-h265,stream-format=byte-stream,alignment=au";
    case Codec::kAv1:
      return "av1parse ! video/x-av1,stream-format=obu-stream,alignment=tu";
    case Codec::kVp9:
      return "video/x-vp9";
  }
  return "";
}

void AddHardware(std::vector<EnginePath>& paths, const char* engine,
                 const std::vector<Route>& routes, const std::vector<HardwareEncoder>& encoders,
                 Codec codec) {
  for (const Route& route : routes) {
    for (const HardwareEncoder& encoder : encoders) {
      if (encoder.codec != codec) continue;
      EnginePath& path = paths.emplace_back();
      path.engine = engine;
      path.path = std::string(route.name) + encoder.variant;
      path.codec = codec;
      path.input = route.input;
      path.hardware = true;
      path.needs = route.needs;
      path.needs.push_back({encoder.element, engine == std::string("vaapi") &&
                                                     std::string(route.name) == "legacy-upload"
                                                 ? kVaapi
                                                 : kBad});
      if (codec != Codec::kVp9) {
        path.needs.push_back({codec == Codec::kH264   ? "h264parse"
                              : codec == Codec::kHevc ? "h265parse"
                                                      : "av1parse",
                              kBad});
      }
      path.bt709 = route.input == PathInput::kDmaBuf;
      path.colorimetry = path.bt709 ? kRgb : kBt601;
      path.route = route.chain;
      path.encoder = encoder.element;
      path.options = encoder.options;
      path.tail = TailOf(codec);
    }
  }
}

EnginePath Software(const char* engine, Codec codec, const char* element, const char* package) {
  EnginePath path;
  path.engine = engine;
  path.path = "system-memory";
  path.codec = codec;
  path.encoder = element;
  path.needs = {{element, package}};
  path.colorimetry = kBt601;
  return path;
}

EnginePath X264() {
  // One thread: slices for threads cost more than they bring at the sizes of a desktop, and other
  // sessions want the cores. Not VFR input (force-cfr=0): x264 then keeps each picture until the
  // next one is there, to know how long it lasts: a whole picture of latency. Without the profile
  // in the caps, x264enc would choose high 4:4:4.
  EnginePath path = Software("x264", Codec::kH264, "x264enc", kUgly);
  path.time_shift = kX264TimeShift;
  path.options =
      "tune=zerolatency speed-preset=ultrafast threads=1 sliced-threads=false bframes=0 "
      "key-int-max=2147483647 rc-lookahead=0 byte-stream=true aud=true insert-vui=true "
      "option-string=scenecut=0";
  path.tail = "video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au";
  return path;
}

EnginePath OpenH264() {
  // rate-control=bitrate: by default it aims at quality and ignores the bitrate; hard content
  // exceeds it even so. usage-type=screen costs twice the time and twice the bits, and makes key
  // frames of its own. No frame skipping: what was handed over has to come out.
  EnginePath path = Software("openh264", Codec::kH264, "openh264enc", kBad);
  path.options =
      "usage-type=camera rate-control=bitrate complexity=low multi-thread=1 slice-mode=n-slices "
      "num-slices=1 gop-size=0 scene-change-detection=false background-detection=false "
      "adaptive-quantization=false enable-frame-skip=false";
  path.bitrate = BitrateProperty::kOpenH264;
  path.tail = "video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au";
  return path;
}

EnginePath X265() {
  // Its default is to look ahead and to reorder. One pool thread: see x264.
  EnginePath path = Software("x265", Codec::kHevc, "x265enc", kBad);
  path.time_shift = kX264TimeShift;
  path.options =
      "tune=zerolatency speed-preset=ultrafast key-int-max=2147483647 "
      "option-string=bframes=0:rc-lookahead=0:scenecut=0:repeat-headers=1:aud=1:frame-threads=1:"
      "wpp=0:pools=none:log-level=1";
  path.tail = "video/x-h265,profile=main,stream-format=byte-stream,alignment=au";
  return path;
}

EnginePath Vp9() {
  EnginePath path = Software("vpx", Codec::kVp9, "vp9enc", kGood);
  path.options =
      "deadline=1 cpu-used=8 end-usage=cbr lag-in-frames=0 auto-alt-ref=false threads=1 "
      "keyframe-mode=disabled keyframe-max-dist=2147483647 resize-allowed=false "
      "dropframe-threshold=0 static-threshold=0 min-quantizer=4 max-quantizer=56";
  path.bitrate = BitrateProperty::kTargetBps;
  path.tail = "video/x-vp9,profile=(string)0";
  return path;
}

EnginePath Av1() {
  // Not CBR: libaom's one-pass rate control without look-ahead ends the process with it.
  EnginePath path = Software("aom", Codec::kAv1, "av1enc", kBad);
  path.options =
      "usage-profile=realtime cpu-used=8 end-usage=vbr lag-in-frames=0 threads=1 row-mt=false "
      "keyframe-mode=disabled keyframe-max-dist=2147483647 drop-frame=0 resize-mode=none "
      "superres-mode=none";
  path.bitrate = BitrateProperty::kTargetKbps;
  // av1enc 1.22 with libaom 3.6: measured, whatever keyframe-mode is.
  path.key_by_restart = true;
  path.tail = "video/x-av1,stream-format=obu-stream,alignment=tu";
  return path;
}

std::vector<EnginePath> BuildPaths() {
  std::vector<EnginePath> paths;
  for (const Codec codec : {Codec::kH264, Codec::kHevc, Codec::kAv1, Codec::kVp9}) {
    AddHardware(paths, "nvidia", NvidiaRoutes(), kNvEncoders, codec);
    AddHardware(paths, "vaapi", VaRoutes(), kVaEncoders, codec);
    AddHardware(paths, "vaapi", LegacyVaRoutes(), kLegacyVaEncoders, codec);
    AddHardware(paths, "qsv", QsvRoutes(), kQsvEncoders, codec);
    switch (codec) {
      case Codec::kH264:
        paths.push_back(X264());
        paths.push_back(OpenH264());
        break;
      case Codec::kHevc:
        paths.push_back(X265());
        break;
      case Codec::kAv1:
        paths.push_back(Av1());
        break;
      case Codec::kVp9:
        paths.push_back(Vp9());
        break;
    }
  }
  return paths;
}

void Replace(std::string& text, std::string_view from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

/// Whether an element can take `text` as the value of a property.
bool Takes(GObjectClass* element, const std::string& name, const std::string& text) {
  GParamSpec* const property = g_object_class_find_property(element, name.c_str());
  if (property == nullptr || (property->flags & G_PARAM_WRITABLE) == 0) return false;
  GValue value = G_VALUE_INIT;
  g_value_init(&value, property->value_type);
  const bool taken = gst_value_deserialize(&value, text.c_str());
  g_value_unset(&value);
  return taken;
}

std::string SupportedOptions(const std::string& factory, std::string_view options) {
  GstElement* const element = gst_element_factory_make(factory.c_str(), nullptr);
  if (element == nullptr) return {};
  GObjectClass* const type = G_OBJECT_GET_CLASS(element);
  std::string result;
  while (!options.empty()) {
    const std::string_view option = options.substr(0, options.find(' '));
    options.remove_prefix(std::min(option.size() + 1, options.size()));
    const size_t equals = option.find('=');
    const std::string name(option.substr(0, equals));
    for (std::string_view values = option.substr(equals + 1); !values.empty();) {
      const std::string value(values.substr(0, values.find('|')));
      if (Takes(type, name, value)) {
        result += " " + name + "=" + value;
        break;
      }
      values.remove_prefix(std::min(value.size() + 1, values.size()));
    }
  }
  gst_object_unref(element);
  return result;
}

const char* PropertyOf(BitrateProperty property) {
  const bool target =
      property == BitrateProperty::kTargetKbps || property == BitrateProperty::kTargetBps;
  return target ? "target-bitrate" : "bitrate";
}

uint32_t ValueOf(BitrateProperty property, uint32_t kbps) {
  switch (property) {
    case BitrateProperty::kKbps:
    case BitrateProperty::kTargetKbps:
      return kbps;
    case BitrateProperty::kBps:
    case BitrateProperty::kTargetBps:
    case BitrateProperty::kOpenH264:
      return kbps * 1000;
  }
  return kbps;
}

}  // namespace

const char* NameOf(Codec codec) {
  switch (codec) {
    case Codec::kH264:
      return "h264";
    case Codec::kHevc:
      return "hevc";
    case Codec::kAv1:
      return "av1";
    case Codec::kVp9:
      return "vp9";
  }
  return "";
}

std::optional<Codec> CodecOf(std::string_view name) {
  for (const Codec codec : {Codec::kH264, Codec::kHevc, Codec::kAv1, Codec::kVp9}) {
    if (name == NameOf(codec)) return codec;
  }
  return std::nullopt;
}

std::span<const EnginePath> EnginePaths() {
  static const std::vector<EnginePath> paths = BuildPaths();
  return paths;
}

std::optional<PathMode> ModeOf(std::string_view name) {
  if (name == "auto") return PathMode::kAuto;
  if (name == "zerocopy") return PathMode::kZeroCopy;
  if (name == "native") return PathMode::kNative;
  if (name == "shm") return PathMode::kShm;
  return std::nullopt;
}

std::vector<const EnginePath*> SelectPaths(std::string_view engine, Codec codec, PathMode mode) {
  std::vector<const EnginePath*> selected;
  for (const EnginePath& path : EnginePaths()) {
    if (path.codec != codec || (engine != "auto" && engine != path.engine)) continue;
    if (mode == PathMode::kZeroCopy && path.input != PathInput::kDmaBuf) continue;
    if (mode == PathMode::kNative && !path.hardware) continue;
    if (mode == PathMode::kShm && path.input != PathInput::kSystem) continue;
    selected.push_back(&path);
  }
  return selected;
}

std::string ForGpu(std::string_view text, const GpuChoice& gpu) {
  std::string result(text);
  Replace(result, "{va}", "va" + gpu.render_node);
  Replace(result, "{device}", gpu.cuda == 0 ? "" : "device" + std::to_string(gpu.cuda));
  Replace(result, "{cuda}", std::to_string(gpu.cuda));
  return result;
}

std::string DescribePath(const EnginePath& path, const EncoderSettings& settings) {
  const std::string factory = ForGpu(path.encoder, settings.gpu);
  const std::string value = std::to_string(ValueOf(path.bitrate, settings.bitrate_kbps));
  std::string text = ForGpu(path.route, settings.gpu);
  if (!text.empty()) text += " ! ";
  text += factory + " name=encoder" + SupportedOptions(factory, path.options);
  text += std::string(" ") + PropertyOf(path.bitrate) + "=" + value;
  if (path.bitrate == BitrateProperty::kOpenH264) text += " max-bitrate=" + value;
  return text + " ! " + path.tail;
}

void SetBitrate(GstElement* encoder, BitrateProperty property, uint32_t kbps) {
  const guint value = ValueOf(property, kbps);
  if (property != BitrateProperty::kOpenH264) {
    if (property == BitrateProperty::kTargetBps) {
      // An int there, and an unsigned elsewhere.
      g_object_set(encoder, "target-bitrate", static_cast<gint>(value), nullptr);
    } else {
      g_object_set(encoder, PropertyOf(property), value, nullptr);
    }
    return;
  }
  // The maximum may never be below the target.
  guint present = 0;
  g_object_get(encoder, "bitrate", &present, nullptr);
  const bool up = value > present;
  g_object_set(encoder, up ? "max-bitrate" : "bitrate", value, nullptr);
  g_object_set(encoder, up ? "bitrate" : "max-bitrate", value, nullptr);
}

}  // namespace scanbridge::host
