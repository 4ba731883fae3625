// SPDX-License-Identifier: Apache-2.0
// A fake libnvidia-encode.so.1: with an encoder on the devices that ENCODERS has a bit for.
#include <stdint.h>
#include <string.h>

#ifndef ENCODERS
#define ENCODERS 1
#endif

struct guid {
  uint32_t a;
  uint16_t b, c;
  uint8_t d[8];
};
static const struct guid kCodecs[] = {
    {0x6bc82762, 0x4e63, 0x4ca4, {0xaa, 0x85, 0x1e, 0x50, 0xf3, 0x21, 0xf6, 0xbf}},
    {0x790cdc88, 0x4522, 0x4d7b, {0x94, 0x25, 0xbd, 0xa9, 0x97, 0x5f, 0x76, 0x03}},
};

static uint32_t open_session(uint32_t* parameters, void** session) {
  if (parameters[0] != (13u | 1u << 16 | 7u << 28)) return 15;
  uintptr_t context;
  memcpy(&context, parameters + 2, sizeof context);
  if ((ENCODERS >> (context - 16) & 1) == 0) return 2;
  *session = (void*)context;
  return 0;
}
static uint32_t destroy(void* session) {
  return session == 0;
}
static uint32_t guid_count(void* session, uint32_t* count) {
  *count = session != 0 ? 2 : 0;
  return 0;
}
static uint32_t guids(void* session, struct guid* list, uint32_t size, uint32_t* count) {
  (void)session;
  memcpy(list, kCodecs, size * sizeof *list);
  *count = size;
  return 0;
}
static uint32_t caps(void* session, struct guid guid, uint32_t* parameters, int* value) {
  (void)session;
  *value = parameters[1] == 16 ? 4096 : 4096;
  if (guid.a == kCodecs[1].a) *value = 8192;
  return 0;
}

uint32_t NvEncodeAPIGetMaxSupportedVersion(uint32_t* version) {
  *version = 13u << 4 | 1;
  return 0;
}
uint32_t NvEncodeAPICreateInstance(void* list) {
  void** const functions = (void**)((char*)list + 8);
  functions[1] = guid_count;
  functions[4] = guids;
  functions[7] = caps;
  functions[27] = destroy;
  functions[29] = open_session;
  return 0;
}
