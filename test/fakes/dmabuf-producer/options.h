/* SPDX-License-Identifier: Apache-2.0 */
/* Command line of the fake producer. */
#ifndef DMABUF_PRODUCER_OPTIONS_H
#define DMABUF_PRODUCER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { MAX_MODIFIERS = 16 };

struct options {
  uint32_t width;
  uint32_t height;
  uint32_t fps; /* 0: frames come by command only. */
  uint32_t max_fps;
  uint32_t buffers;
  uint64_t modifiers[MAX_MODIFIERS];
  unsigned modifier_count; /* 0: no dma-bufs. */
  bool shared_memory;      /* Offer a format without modifier as well. */
  bool short_buffers;      /* Buffers hold half of the picture: a hostile source. */
  bool foreign_format;     /* Offer only a format that no capture takes. */
};

/* False, with a message on stderr, when the arguments make no sense. Exits after --help. */
bool parse_options(struct options* options, int argc, char** argv);

#endif
