#ifndef CHECK_QEMU_OSDEP_H_
#define CHECK_QEMU_OSDEP_H_
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#define QEMU_BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)
typedef struct Error Error;
typedef struct GBytes GBytes;
typedef struct GPtrArray GPtrArray;
typedef struct QEMUBH QEMUBH;
typedef struct {
  int unused;
} Notifier, Object;
#endif
