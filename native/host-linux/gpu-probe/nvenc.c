// SPDX-License-Identifier: Apache-2.0
#include "nvenc.h"

#include <stdint.h>
#include <string.h>

#include "library.h"
#include "report.h"

// The interface, as far as it is used: fields and values that have been the same since version 5.

/// The newest version whose structures are known to be these.
enum { NEWEST_MAJOR = 13, NEWEST_MINOR = 0 };
enum { DEVICE_TYPE_CUDA = 1, CAPS_WIDTH_MAX = 16, CAPS_HEIGHT_MAX = 17 };

struct guid {
  uint32_t data1;
  uint16_t data2;
  uint16_t data3;
  uint8_t data4[8];
};

struct open_parameters {
  uint32_t version;
  uint32_t device_type;
  void* device;
  void* reserved;
  uint32_t api_version;
  uint32_t reserved1[253];
  void* reserved2[64];
};

struct caps_parameters {
  uint32_t version;
  uint32_t caps;
  uint32_t reserved[62];
};

/// Indices of the functions that are called.
enum {
  GET_ENCODE_GUID_COUNT = 1,
  GET_ENCODE_GUIDS = 4,
  GET_ENCODE_CAPS = 7,
  DESTROY_ENCODER = 27,
  OPEN_ENCODE_SESSION_EX = 29,
};

struct function_list {
  uint32_t version;
  uint32_t reserved;
  /// The library fills what it knows: about 45 of 320; the rest is room for later ones.
  void* functions[512];
};

static const struct {
  const char* codec;
  struct guid guid;
} kCodecs[] = {
    {"h264", {0x6bc82762, 0x4e63, 0x4ca4, {0xaa, 0x85, 0x1e, 0x50, 0xf3, 0x21, 0xf6, 0xbf}}},
    {"hevc", {0x790cdc88, 0x4522, 0x4d7b, {0x94, 0x25, 0xbd, 0xa9, 0x97, 0x5f, 0x76, 0x03}}},
    {"av1", {0x0a352289, 0x0aa7, 0x4759, {0x86, 0x2d, 0x5d, 0x15, 0xcd, 0x16, 0xd2, 0x54}}},
};

static const char* status_name(uint32_t status) {
  static const char* const names[] = {
      "NV_ENC_SUCCESS",
      "NV_ENC_ERR_NO_ENCODE_DEVICE",
      "NV_ENC_ERR_UNSUPPORTED_DEVICE",
      "NV_ENC_ERR_INVALID_ENCODERDEVICE",
      "NV_ENC_ERR_INVALID_DEVICE",
      "NV_ENC_ERR_DEVICE_NOT_EXIST",
      "NV_ENC_ERR_INVALID_PTR",
      "NV_ENC_ERR_INVALID_EVENT",
      "NV_ENC_ERR_INVALID_PARAM",
      "NV_ENC_ERR_INVALID_CALL",
      "NV_ENC_ERR_OUT_OF_MEMORY",
      "NV_ENC_ERR_ENCODER_NOT_INITIALIZED",
      "NV_ENC_ERR_UNSUPPORTED_PARAM",
      "NV_ENC_ERR_LOCK_BUSY",
      "NV_ENC_ERR_NOT_ENOUGH_BUFFER",
      "NV_ENC_ERR_INVALID_VERSION",
  };
  return status < sizeof names / sizeof names[0] ? names[status] : "an unknown error of NVENC";
}

/// A function of the list as a pointer of the type of `*function`.
static void take(const struct function_list* list, int index, void* function) {
  memcpy(function, &list->functions[index], sizeof list->functions[index]);
}

static void report_codecs(const struct function_list* list, void* session, uint32_t api) {
  uint32_t (*count_guids)(void*, uint32_t*);
  uint32_t (*get_guids)(void*, struct guid*, uint32_t, uint32_t*);
  uint32_t (*get_caps)(void*, struct guid, struct caps_parameters*, int*);
  take(list, GET_ENCODE_GUID_COUNT, &count_guids);
  take(list, GET_ENCODE_GUIDS, &get_guids);
  take(list, GET_ENCODE_CAPS, &get_caps);
  struct guid guids[32];
  uint32_t count = 0;
  if (count_guids == NULL || get_guids == NULL || get_caps == NULL ||
      count_guids(session, &count) != 0) {
    return;
  }
  if (count > 32) count = 32;
  uint32_t filled = 0;
  if (get_guids(session, guids, count, &filled) != 0) return;
  for (uint32_t i = 0; i < filled && i < count; i++) {
    for (size_t k = 0; k < sizeof kCodecs / sizeof kCodecs[0]; k++) {
      if (memcmp(&guids[i], &kCodecs[k].guid, sizeof guids[i]) != 0) continue;
      report_object(NULL);
      report_text("codec", kCodecs[k].codec);
      const char* const names[] = {"maxWidth", "maxHeight"};
      for (uint32_t which = 0; which < 2; which++) {
        struct caps_parameters caps = {
            .version = api | 1u << 16 | 7u << 28,
            .caps = which == 0 ? CAPS_WIDTH_MAX : CAPS_HEIGHT_MAX,
        };
        int value = 0;
        if (get_caps(session, guids[i], &caps, &value) == 0 && value > 0) {
          report_number(names[which], (uint64_t)value);
        }
      }
      report_close();
    }
  }
}

void nvenc_ask(void* context) {
  uint32_t (*max_version)(uint32_t*);
  uint32_t (*create_instance)(struct function_list*);
  report_stage("loading libnvidia-encode.so.1");
  void* const library = library_load("libnvidia-encode.so.1");
  if (library == NULL) return;
  if (!library_symbol(library, "NvEncodeAPIGetMaxSupportedVersion", &max_version)) return;
  if (!library_symbol(library, "NvEncodeAPICreateInstance", &create_instance)) return;
  uint32_t newest = 0;
  uint32_t status = max_version(&newest);
  if (status != 0) {
    report_text("error", status_name(status));
    return;
  }
  uint32_t major = newest >> 4;
  uint32_t minor = newest & 15;
  report_format("version", "%u.%u", major, minor);
  if (major > NEWEST_MAJOR || (major == NEWEST_MAJOR && minor > NEWEST_MINOR)) {
    major = NEWEST_MAJOR;
    minor = NEWEST_MINOR;
  }
  const uint32_t api = major | minor << 24;
  static struct function_list list;
  memset(&list, 0, sizeof list);
  list.version = api | 2u << 16 | 7u << 28;
  status = create_instance(&list);
  if (status != 0) {
    report_text("error", status_name(status));
    return;
  }
  uint32_t (*open_session)(struct open_parameters*, void**);
  uint32_t (*destroy)(void*);
  take(&list, OPEN_ENCODE_SESSION_EX, &open_session);
  take(&list, DESTROY_ENCODER, &destroy);
  if (open_session == NULL || destroy == NULL) {
    report_text("error", "the library has no function to open a session");
    return;
  }
  struct open_parameters parameters = {
      .version = api | 1u << 16 | 7u << 28,
      .device_type = DEVICE_TYPE_CUDA,
      .device = context,
      .api_version = api,
  };
  void* session = NULL;
  report_stage("opening a session of the encoder");
  status = open_session(&parameters, &session);
  report_bool("session", status == 0);
  if (status != 0) report_text("error", status_name(status));
  report_array("codecs");
  if (status == 0) report_codecs(&list, session, api);
  report_close();
  // Also after a failure: the documentation wants it wherever a handle was given out.
  if (session != NULL) (void)destroy(session);
}
