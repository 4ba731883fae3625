#define _GNU_SOURCE
#include "head.h"

#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define CURSOR_SIZE 64

uint64_t now(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool has_room_for_mark(uint32_t width, uint32_t height) {
  return width >= MARK_WIDTH && height >= MARK_HEIGHT;
}

bool preferred_size(const struct head* h, uint32_t* width, uint32_t* height) {
  struct drm_mode_modeinfo modes[128];
  struct drm_mode_get_connector get = {.connector_id = h->connector};

  *width = *height = 0;
  if (drm(DRM_IOCTL_MODE_GETCONNECTOR, &get) < 0) {
    return false;
  }
  bool connected = get.connection == 1;
  uint32_t count = get.count_modes < 128 ? get.count_modes : 128;
  get = (struct drm_mode_get_connector){
      .connector_id = h->connector, .count_modes = count, .modes_ptr = (uintptr_t)modes};
  if (connected && count > 0 && drm(DRM_IOCTL_MODE_GETCONNECTOR, &get) == 0 &&
      get.count_modes > 0) {
    *width = modes[0].hdisplay;
    *height = modes[0].vdisplay;
  }
  return connected;
}

static struct drm_mode_modeinfo make_mode(uint32_t width, uint32_t height) {
  /* virtio-gpu has no timings; these only have to be consistent. */
  return (struct drm_mode_modeinfo){
      .clock = (width + 160) * (height + 30) * 60 / 1000,
      .hdisplay = (uint16_t)width,
      .hsync_start = (uint16_t)(width + 48),
      .hsync_end = (uint16_t)(width + 80),
      .htotal = (uint16_t)(width + 160),
      .vdisplay = (uint16_t)height,
      .vsync_start = (uint16_t)(height + 3),
      .vsync_end = (uint16_t)(height + 8),
      .vtotal = (uint16_t)(height + 30),
      .vrefresh = 60,
      .type = DRM_MODE_TYPE_USERDEF,
  };
}

static int paint_next(struct head* h, struct buffer* b) {
  h->sequence++;
  if (!has_room_for_mark(h->width, h->height)) {
    return 0;
  }
  paint_mark(&b->canvas, h->left, h->top, h->number, h->sequence, now() / 1000);
  return transfer(b, h->top, MARK_HEIGHT);
}

void switch_off(struct head* h) {
  struct drm_mode_crtc off = {.crtc_id = h->crtc};

  drm(DRM_IOCTL_MODE_SETCRTC, &off);
  free_buffer(&h->buffers[0]);
  free_buffer(&h->buffers[1]);
  h->shown = h->running = h->flip_pending = h->answer_flip = false;
}

int show(struct head* h, uint32_t width, uint32_t height, const struct format* format,
         uint32_t surface_width, uint32_t surface_height, uint32_t left, uint32_t top) {
  struct buffer old[2] = {h->buffers[0], h->buffers[1]};
  struct drm_mode_crtc set = {
      .set_connectors_ptr = (uintptr_t)&h->connector,
      .count_connectors = 1,
      .crtc_id = h->crtc,
      .x = left,
      .y = top,
      .mode_valid = 1,
      .mode = make_mode(width, height),
  };

  h->buffers[0] = h->buffers[1] = (struct buffer){0};
  h->width = width;
  h->height = height;
  h->left = left;
  h->top = top;
  h->format = format;
  h->sequence = 0;
  for (int i = 0; i < 2; i++) {
    struct buffer* b = &h->buffers[i];
    if (make_buffer(b, surface_width ? surface_width : width,
                    surface_height ? surface_height : height, format,
                    strcmp(format->name, "XR24") == 0) < 0 ||
        make_framebuffer(b) < 0) {
      goto fail;
    }
    paint_background(&b->canvas, h->number);
    if (transfer(b, 0, b->canvas.height) < 0) {
      goto fail;
    }
  }
  if (paint_next(h, &h->buffers[1]) < 0) {
    goto fail;
  }
  set.fb_id = h->buffers[1].framebuffer;
  if (drm(DRM_IOCTL_MODE_SETCRTC, &set) < 0) {
    goto fail;
  }
  h->shown = true;
  /* Only now: a frame buffer that is shown takes the picture away with it. */
  free_buffer(&old[0]);
  free_buffer(&old[1]);
  return 0;

fail:;
  int error = errno;
  switch_off(h);
  free_buffer(&old[0]);
  free_buffer(&old[1]);
  errno = error;
  return -1;
}

int flip(struct head* h) {
  struct buffer* next = &h->buffers[(h->sequence + 1) % 2];

  if (paint_next(h, next) < 0) {
    return -1;
  }
  struct drm_mode_crtc_page_flip command = {
      .crtc_id = h->crtc,
      .fb_id = next->framebuffer,
      .flags = DRM_MODE_PAGE_FLIP_EVENT,
      .user_data = h->number,
  };
  if (drm(DRM_IOCTL_MODE_PAGE_FLIP, &command) < 0) {
    return -1;
  }
  h->flip_pending = true;
  return 0;
}

int set_cursor(struct head* h, int x, int y, int hot_x, int hot_y) {
  struct drm_mode_cursor2 command = {
      .flags = DRM_MODE_CURSOR_MOVE, .crtc_id = h->crtc, .x = x, .y = y};

  if (!h->cursor_handle) {
    /* A square of premultiplied colours: alpha grows downwards, red to the right. */
    struct buffer b;
    if (make_buffer(&b, CURSOR_SIZE, CURSOR_SIZE, find_format("XR24"), true) < 0) {
      return -1;
    }
    for (uint32_t row = 0; row < CURSOR_SIZE; row++) {
      for (uint32_t column = 0; column < CURSOR_SIZE; column++) {
        uint32_t alpha = row * 4 + 3, red = column * 4 * alpha / 255;
        uint32_t pixel = alpha << 24 | red << 16 | alpha / 2;
        memcpy(b.canvas.pixels + row * b.canvas.stride + 4 * column, &pixel, 4);
      }
    }
    munmap(b.canvas.pixels, b.size);
    h->cursor_handle = b.handle;
    command.flags |= DRM_MODE_CURSOR_BO;
    command.handle = b.handle;
    command.width = command.height = CURSOR_SIZE;
    command.hot_x = hot_x;
    command.hot_y = hot_y;
  }
  return drm(DRM_IOCTL_MODE_CURSOR2, &command);
}

int hide_cursor(struct head* h) {
  struct drm_mode_cursor2 command = {.flags = DRM_MODE_CURSOR_BO, .crtc_id = h->crtc};
  struct drm_gem_close close = {.handle = h->cursor_handle};
  int result = drm(DRM_IOCTL_MODE_CURSOR2, &command);

  if (h->cursor_handle) {
    drm(DRM_IOCTL_GEM_CLOSE, &close);
    h->cursor_handle = 0;
  }
  return result;
}
