/*
 * Buffers of a virtio-gpu DRM device that can be painted (pattern.h), shown and brought to the
 * host. Functions that return an int return 0, or -1 and tell by errno why.
 */
#ifndef SCANBRIDGE_TEST_VM_DRM_BUFFER_H
#define SCANBRIDGE_TEST_VM_DRM_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "pattern.h"

struct format {
  const char* name;         /* the DRM fourcc */
  uint32_t virtio;          /* enum virtio_gpu_formats */
  uint8_t red, green, blue; /* as in struct canvas */
};

struct buffer {
  struct canvas canvas;
  uint32_t handle;      /* of GEM */
  uint32_t resource;    /* the host's id */
  uint32_t framebuffer; /* 0: no head can show it */
  uint64_t size;        /* bytes */
  bool dumb;            /* the kernel transfers it on each flip; others are transferred by us */
};

/* Opens the device, one a process. Returns its descriptor. */
int drm_open(const char* path);

/* An ioctl on the device, repeated when a signal interrupts it. */
int drm(unsigned long request, void* argument);

/* NULL if there is none of that name. */
const struct format* find_format(const char* name);

/* On failure nothing is left. */
int make_buffer(struct buffer* b, uint32_t width, uint32_t height, const struct format* format,
                bool dumb);

/*
 * Makes it one that a head can show. The kernel knows XR24 and AR24 framebuffers only; what the
 * host shows is the resource's format.
 */
int make_framebuffer(struct buffer* b);

/* Brings rows [top, top + rows) of a buffer that is not dumb to the host. */
int transfer(struct buffer* b, uint32_t top, uint32_t rows);

/* Does nothing with one that is all zero. */
void free_buffer(struct buffer* b);

#endif
