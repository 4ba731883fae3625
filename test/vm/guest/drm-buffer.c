#define _GNU_SOURCE
#include "drm-buffer.h"

#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <virtgpu_drm.h>

#define DRM_XR24 0x34325258u
#define PIPE_TEXTURE_2D 2u
/* Of virglrenderer's gallium enums: sampler view, render target, scanout. */
#define PIPE_BIND (1u << 3 | 1u << 1 | 1u << 18)

static const struct format formats[] = {
    {"AR24", 1, 2, 1, 0}, {"XR24", 2, 2, 1, 0}, {"AB24", 67, 0, 1, 2}, {"XB24", 134, 0, 1, 2}};

static int card = -1;

int drm_open(const char* path) {
  card = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  return card;
}

int drm(unsigned long request, void* argument) {
  int result;

  do {
    result = ioctl(card, request, argument);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return result;
}

const struct format* find_format(const char* name) {
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    if (strcmp(formats[i].name, name) == 0) {
      return &formats[i];
    }
  }
  errno = EINVAL;
  return NULL;
}

void free_buffer(struct buffer* b) {
  if (b->framebuffer) {
    drm(DRM_IOCTL_MODE_RMFB, &b->framebuffer);
  }
  if (b->canvas.pixels) {
    munmap(b->canvas.pixels, b->size);
  }
  if (b->handle) {
    struct drm_gem_close close = {.handle = b->handle};
    drm(DRM_IOCTL_GEM_CLOSE, &close);
  }
  *b = (struct buffer){0};
}

int make_buffer(struct buffer* b, uint32_t width, uint32_t height, const struct format* format,
                bool dumb) {
  uint64_t offset;

  *b = (struct buffer){.dumb = dumb};
  if (dumb) {
    struct drm_mode_create_dumb create = {.width = width, .height = height, .bpp = 32};
    if (drm(DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0) {
      goto fail;
    }
    b->handle = create.handle;
    b->size = create.size;
    b->canvas.stride = create.pitch;
    struct drm_virtgpu_resource_info info = {.bo_handle = create.handle};
    struct drm_mode_map_dumb map = {.handle = create.handle};
    if (drm(DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info) < 0 || drm(DRM_IOCTL_MODE_MAP_DUMB, &map) < 0) {
      goto fail;
    }
    b->resource = info.res_handle;
    offset = map.offset;
  } else {
    b->canvas.stride = width * 4;
    b->size = (uint64_t)b->canvas.stride * height;
    struct drm_virtgpu_resource_create create = {
        .target = PIPE_TEXTURE_2D,
        .format = format->virtio,
        .bind = PIPE_BIND,
        .width = width,
        .height = height,
        .depth = 1,
        .array_size = 1,
        .size = (uint32_t)b->size,
        .stride = b->canvas.stride,
    };
    if (drm(DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create) < 0) {
      goto fail;
    }
    b->handle = create.bo_handle;
    b->resource = create.res_handle;
    struct drm_virtgpu_map map = {.handle = create.bo_handle};
    if (drm(DRM_IOCTL_VIRTGPU_MAP, &map) < 0) {
      goto fail;
    }
    offset = map.offset;
  }
  void* pixels = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, card, (off_t)offset);
  if (pixels == MAP_FAILED) {
    goto fail;
  }
  b->canvas.pixels = pixels;
  b->canvas.width = width;
  b->canvas.height = height;
  b->canvas.red = format->red;
  b->canvas.green = format->green;
  b->canvas.blue = format->blue;
  return 0;

fail:;
  int error = errno;
  free_buffer(b);
  errno = error;
  return -1;
}

int make_framebuffer(struct buffer* b) {
  struct drm_mode_fb_cmd2 command = {
      .width = b->canvas.width,
      .height = b->canvas.height,
      .pixel_format = DRM_XR24,
      .handles = {b->handle},
      .pitches = {b->canvas.stride},
  };

  if (drm(DRM_IOCTL_MODE_ADDFB2, &command) < 0) {
    return -1;
  }
  b->framebuffer = command.fb_id;
  return 0;
}

int transfer(struct buffer* b, uint32_t top, uint32_t rows) {
  struct drm_virtgpu_3d_transfer_to_host command = {
      .bo_handle = b->handle,
      .box = {.y = top, .w = b->canvas.width, .h = rows, .d = 1},
      .offset = top * b->canvas.stride,
  };
  struct drm_virtgpu_3d_wait wait = {.handle = b->handle};

  if (b->dumb) {
    return 0;
  }
  if (drm(DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &command) < 0) {
    return -1;
  }
  return drm(DRM_IOCTL_VIRTGPU_WAIT, &wait);
}
