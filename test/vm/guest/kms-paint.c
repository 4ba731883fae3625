/*
 * kms-paint: shows pictures of which every pixel is known (pattern.h) on the heads of a DRM device,
 * and in resources that no head shows. Reads commands from standard input, one a line, and
 * answers each with one line: a JSON object, `{"error": "..."}` if it failed.
 *
 *   heads                        the connectors:
 * {"heads":[{"head":0,"connected":1,"width":..,"height":..}]} show HEAD WxH FORMAT [SWxSH+X+Y] sets
 * a mode of any size and shows sequence 1; 0x0 means the size that the host prefers. FORMAT is XR24
 * (a dumb buffer), AR24, XB24 or AB24. The last argument makes the buffers larger than the picture:
 * size and place of the picture. flip HEAD                    one page flip; answers when it is
 * done run HEAD RATE                flips RATE times a second until `stop`; 0 is as fast as it goes
 *   stop HEAD                    answers with what `run` did: flips, seconds, worst gap between two
 * flips off HEAD                     switches the head off and frees its buffers cursor HEAD X Y
 * HOTX HOTY    shows a 64x64 cursor, or moves it hide HEAD                    hides the cursor
 *   follow                       from now on a head whose preferred size the host changes is shown
 * at that size, one that the host disconnects is switched off; each such change is told by a line
 * {"event":"shown"|"off", ...} resource WxH FORMAT PAINTER  paints a resource that no head shows
 * and transfers it to the host touch RESOURCE               paints and transfers its mark with the
 * next sequence number drop RESOURCE                frees it
 *
 * HEAD counts from 0 as scanouts do; a RESOURCE is the host's resource id. Environment: CARD.
 */
#define _GNU_SOURCE
#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <virtgpu_drm.h>

#include "pattern.h"

#define MAX_HEADS 16
#define MAX_RESOURCES 64
#define CURSOR_SIZE 64

#define DRM_XR24 0x34325258u
#define DRM_AR24 0x34325241u
#define PIPE_TEXTURE_2D 2u
/* Of virglrenderer's gallium enums: sampler view, render target, scanout. */
#define PIPE_BIND (1u << 3 | 1u << 1 | 1u << 18)

struct format {
  const char* name;
  uint32_t virtio; /* enum virtio_gpu_formats */
  uint8_t red, green, blue;
};
static const struct format formats[] = {
    {"AR24", 1, 2, 1, 0}, {"XR24", 2, 2, 1, 0}, {"AB24", 67, 0, 1, 2}, {"XB24", 134, 0, 1, 2}};

struct buffer {
  struct canvas canvas;
  uint32_t handle, resource, framebuffer;
  uint64_t size;
  bool dumb; /* the kernel transfers it on each flip; others are transferred by us */
};

struct head {
  uint32_t connector, crtc;
  bool shown, flip_pending, running, answer_flip;
  uint32_t width, height; /* of the mode */
  uint32_t left, top;     /* of the picture in the buffers */
  const struct format* format;
  struct buffer buffers[2];
  uint32_t cursor_handle;
  uint32_t sequence;
  /* What `run` did, in nanoseconds. */
  uint64_t period, next, started, last, worst_gap, flips;
};

struct off_screen {
  struct buffer buffer; /* buffer.resource 0: this slot is free */
  uint8_t painter;
  uint32_t sequence;
};

static int card;
static struct head heads[MAX_HEADS];
static uint32_t head_count;
static struct off_screen off_screens[MAX_RESOURCES];
static bool following;

static uint64_t now(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int drm(unsigned long request, void* argument) {
  int result;

  do {
    result = ioctl(card, request, argument);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return result;
}

__attribute__((format(printf, 1, 2))) static void say(const char* text, ...) {
  va_list arguments;

  va_start(arguments, text);
  vprintf(text, arguments);
  va_end(arguments);
  putchar('\n');
  fflush(stdout);
}

static void say_error(const char* what) {
  say("{\"error\":\"%s: %s\"}", what, strerror(errno));
}

static const struct format* find_format(const char* name) {
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    if (strcmp(formats[i].name, name) == 0) {
      return &formats[i];
    }
  }
  errno = EINVAL;
  return NULL;
}

static void free_buffer(struct buffer* b) {
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

/* On failure errno tells why and nothing is left. */
static int make_buffer(struct buffer* b, uint32_t width, uint32_t height,
                       const struct format* format, bool dumb) {
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

/* The kernel knows XR24 and AR24 framebuffers only; what the host shows is the resource's format.
 */
static int make_framebuffer(struct buffer* b) {
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

/* Brings rows [top, top + rows) of a buffer that is not dumb to the host. */
static int transfer(struct buffer* b, uint32_t top, uint32_t rows) {
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

static bool has_room_for_mark(uint32_t width, uint32_t height) {
  return width >= MARK_WIDTH && height >= MARK_HEIGHT;
}

/* Finds a connector's state and the first of its modes, which is the preferred one. */
static bool preferred_size(uint32_t connector, uint32_t* width, uint32_t* height) {
  struct drm_mode_modeinfo modes[128];
  struct drm_mode_get_connector get = {.connector_id = connector};

  *width = *height = 0;
  if (drm(DRM_IOCTL_MODE_GETCONNECTOR, &get) < 0) {
    return false;
  }
  bool connected = get.connection == 1;
  uint32_t count = get.count_modes < 128 ? get.count_modes : 128;
  get = (struct drm_mode_get_connector){
      .connector_id = connector, .count_modes = count, .modes_ptr = (uintptr_t)modes};
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
  paint_mark(&b->canvas, h->left, h->top, (uint8_t)(h - heads), h->sequence, now() / 1000);
  return transfer(b, h->top, MARK_HEIGHT);
}

static void switch_off(struct head* h) {
  struct drm_mode_crtc off = {.crtc_id = h->crtc};

  drm(DRM_IOCTL_MODE_SETCRTC, &off);
  free_buffer(&h->buffers[0]);
  free_buffer(&h->buffers[1]);
  h->shown = h->running = h->flip_pending = h->answer_flip = false;
}

/* `surface_width` 0: the buffers are as large as the picture. On failure the head is off. */
static int show(struct head* h, uint32_t width, uint32_t height, const struct format* format,
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
    paint_background(&b->canvas, (uint8_t)(h - heads));
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

static int flip(struct head* h) {
  struct buffer* next = &h->buffers[(h->sequence + 1) % 2];

  if (paint_next(h, next) < 0) {
    return -1;
  }
  struct drm_mode_crtc_page_flip command = {
      .crtc_id = h->crtc,
      .fb_id = next->framebuffer,
      .flags = DRM_MODE_PAGE_FLIP_EVENT,
      .user_data = (uint64_t)(h - heads),
  };
  if (drm(DRM_IOCTL_MODE_PAGE_FLIP, &command) < 0) {
    return -1;
  }
  h->flip_pending = true;
  return 0;
}

static void flip_done(struct head* h) {
  uint64_t at = now();

  h->flip_pending = false;
  if (h->answer_flip) {
    h->answer_flip = false;
    say("{\"head\":%td,\"sequence\":%u}", h - heads, h->sequence);
  }
  if (h->running) {
    h->flips++;
    h->worst_gap = at - h->last > h->worst_gap ? at - h->last : h->worst_gap;
    h->last = at;
  }
}

static void say_shown(const struct head* h, const char* before) {
  say("{%s\"head\":%td,\"width\":%u,\"height\":%u,\"format\":\"%s\",\"stride\":%u,"
      "\"resources\":[%u,%u]}",
      before, h - heads, h->width, h->height, h->format->name, h->buffers[0].canvas.stride,
      h->buffers[0].resource, h->buffers[1].resource);
}

static int set_cursor(struct head* h, int x, int y, int hot_x, int hot_y) {
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

static int hide_cursor(struct head* h) {
  struct drm_mode_cursor2 command = {.flags = DRM_MODE_CURSOR_BO, .crtc_id = h->crtc};
  struct drm_gem_close close = {.handle = h->cursor_handle};
  int result = drm(DRM_IOCTL_MODE_CURSOR2, &command);

  if (h->cursor_handle) {
    drm(DRM_IOCTL_GEM_CLOSE, &close);
    h->cursor_handle = 0;
  }
  return result;
}

static void follow_host(void) {
  for (struct head* h = heads; h < heads + head_count; h++) {
    uint32_t width, height;
    if (!preferred_size(h->connector, &width, &height)) {
      if (h->shown) {
        switch_off(h);
        say("{\"event\":\"off\",\"head\":%td}", h - heads);
      }
    } else if (width && (!h->shown || width != h->width || height != h->height)) {
      bool running = h->running;
      h->flip_pending = false; /* its event is dropped: the mode set waits for the flip */
      if (show(h, width, height, h->format ? h->format : find_format("XR24"), 0, 0, 0, 0) < 0) {
        say_error("follow");
      } else {
        h->running = running;
        say_shown(h, "\"event\":\"shown\",");
      }
    }
  }
}

static int off_screen_command(char** words, int count) {
  uint32_t width, height;

  if (count == 4 && strcmp(words[0], "resource") == 0 &&
      sscanf(words[1], "%ux%u", &width, &height) == 2) {
    const struct format* format = find_format(words[2]);
    struct off_screen* slot = off_screens;
    while (slot < off_screens + MAX_RESOURCES && slot->buffer.resource) {
      slot++;
    }
    if (!format || slot == off_screens + MAX_RESOURCES ||
        make_buffer(&slot->buffer, width, height, format, false) < 0) {
      return -1;
    }
    slot->painter = (uint8_t)strtoul(words[3], NULL, 10);
    slot->sequence = 0;
    paint_background(&slot->buffer.canvas, slot->painter);
    if (transfer(&slot->buffer, 0, height) < 0) {
      free_buffer(&slot->buffer);
      return -1;
    }
    say("{\"resource\":%u,\"width\":%u,\"height\":%u,\"format\":\"%s\",\"stride\":%u}",
        slot->buffer.resource, width, height, format->name, slot->buffer.canvas.stride);
    return 0;
  }
  uint32_t id = count == 2 ? (uint32_t)strtoul(words[1], NULL, 10) : 0;
  for (struct off_screen* o = off_screens; id && o < off_screens + MAX_RESOURCES; o++) {
    if (o->buffer.resource != id) {
      continue;
    }
    if (strcmp(words[0], "drop") == 0) {
      free_buffer(&o->buffer);
      say("{\"resource\":%u}", id);
      return 0;
    }
    if (!has_room_for_mark(o->buffer.canvas.width, o->buffer.canvas.height)) {
      break;
    }
    paint_mark(&o->buffer.canvas, 0, 0, o->painter, ++o->sequence, now() / 1000);
    if (transfer(&o->buffer, 0, MARK_HEIGHT) < 0) {
      return -1;
    }
    say("{\"resource\":%u,\"sequence\":%u}", id, o->sequence);
    return 0;
  }
  errno = EINVAL;
  return -1;
}

static int head_command(struct head* h, char** words, int count) {
  const char* name = words[0];

  if (strcmp(name, "show") == 0 && count >= 4) {
    uint32_t width, height, surface[4] = {0};
    const struct format* format = find_format(words[3]);
    if (!format || sscanf(words[2], "%ux%u", &width, &height) != 2 ||
        (count > 4 && sscanf(words[4], "%ux%u+%u+%u", &surface[0], &surface[1], &surface[2],
                             &surface[3]) != 4)) {
      errno = EINVAL;
      return -1;
    }
    if (width == 0 && (!preferred_size(h->connector, &width, &height) || width == 0)) {
      errno = ENODEV;
      return -1;
    }
    if (show(h, width, height, format, surface[0], surface[1], surface[2], surface[3]) < 0) {
      return -1;
    }
    say_shown(h, "");
    return 0;
  }
  if (strcmp(name, "cursor") == 0 && count == 6) {
    if (set_cursor(h, atoi(words[2]), atoi(words[3]), atoi(words[4]), atoi(words[5])) < 0) {
      return -1;
    }
  } else if (strcmp(name, "hide") == 0) {
    if (hide_cursor(h) < 0) {
      return -1;
    }
  } else if (!h->shown || h->answer_flip) {
    errno = h->shown ? EBUSY : ENODEV;
    return -1;
  } else if (strcmp(name, "flip") == 0 && !h->running && !h->flip_pending) {
    h->answer_flip = true;
    if (flip(h) < 0) {
      h->answer_flip = false;
      return -1;
    }
    return 0; /* flip_done answers */
  } else if (strcmp(name, "run") == 0 && count == 3) {
    double rate = atof(words[2]);
    h->period = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
    h->started = h->last = h->next = now();
    h->flips = h->worst_gap = 0;
    h->running = true;
  } else if (strcmp(name, "stop") == 0 && h->running) {
    h->running = false;
    say("{\"head\":%td,\"flips\":%llu,\"seconds\":%.6f,\"worstGapMs\":%.3f,\"sequence\":%u}",
        h - heads, (unsigned long long)h->flips, (double)(now() - h->started) / 1e9,
        (double)h->worst_gap / 1e6, h->sequence);
    return 0;
  } else if (strcmp(name, "off") == 0) {
    switch_off(h);
  } else {
    errno = EINVAL;
    return -1;
  }
  say("{\"head\":%td}", h - heads);
  return 0;
}

static void say_heads(void) {
  printf("{\"heads\":[");
  for (uint32_t i = 0; i < head_count; i++) {
    uint32_t width, height;
    bool connected = preferred_size(heads[i].connector, &width, &height);
    printf("%s{\"head\":%u,\"connected\":%s,\"width\":%u,\"height\":%u}", i ? "," : "", i,
           connected ? "true" : "false", width, height);
  }
  say("]}");
}

static void command(char* line) {
  char *words[8], *rest = line;
  int count = 0;

  while (count < 8 && (words[count] = strsep(&rest, " ")) != NULL) {
    count++;
  }
  if (strcmp(words[0], "heads") == 0) {
    say_heads();
  } else if (strcmp(words[0], "follow") == 0) {
    following = true;
    say("{}");
    follow_host();
  } else if (strcmp(words[0], "resource") == 0 || strcmp(words[0], "touch") == 0 ||
             strcmp(words[0], "drop") == 0) {
    if (off_screen_command(words, count) < 0) {
      say_error(words[0]);
    }
  } else {
    unsigned long head = count >= 2 ? strtoul(words[1], NULL, 10) : head_count;
    errno = EINVAL;
    if (head >= head_count || head_command(&heads[head], words, count) < 0) {
      say_error(words[0]);
    }
  }
}

static int find_heads(void) {
  uint32_t connectors[64], crtcs[64], encoders[64];
  struct drm_mode_card_res get = {0};

  if (drm(DRM_IOCTL_MODE_GETRESOURCES, &get) < 0) {
    return -1;
  }
  if (get.count_connectors > MAX_HEADS || get.count_crtcs != get.count_connectors) {
    errno = ENOTSUP;
    return -1;
  }
  get = (struct drm_mode_card_res){
      .count_connectors = get.count_connectors,
      .count_crtcs = get.count_crtcs,
      .count_encoders = 64,
      .connector_id_ptr = (uintptr_t)connectors,
      .crtc_id_ptr = (uintptr_t)crtcs,
      .encoder_id_ptr = (uintptr_t)encoders,
  };
  if (drm(DRM_IOCTL_MODE_GETRESOURCES, &get) < 0) {
    return -1;
  }
  head_count = get.count_connectors;
  for (uint32_t i = 0; i < head_count; i++) {
    /* virtio-gpu makes connector and CRTC of each scanout together, in the order of scanouts. */
    heads[i].connector = connectors[i];
    heads[i].crtc = crtcs[i];
  }
  return 0;
}

static int open_uevents(void) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
  int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

  if (fd >= 0 && bind(fd, (struct sockaddr*)&address, sizeof address) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

static void read_flip_events(void) {
  char data[1024];
  ssize_t size = read(card, data, sizeof data);

  for (ssize_t at = 0; at + (ssize_t)sizeof(struct drm_event) <= size;) {
    struct drm_event event;
    struct drm_event_vblank flipped;
    memcpy(&event, data + at, sizeof event);
    if (event.type == DRM_EVENT_FLIP_COMPLETE) {
      memcpy(&flipped, data + at, sizeof flipped);
      if (flipped.user_data < head_count && heads[flipped.user_data].flip_pending) {
        flip_done(&heads[flipped.user_data]);
      }
    }
    at += event.length;
  }
}

/* Starts the flips that are due; returns how long to sleep, in milliseconds, or -1. */
static int start_due_flips(void) {
  uint64_t at = now(), soonest = UINT64_MAX;

  for (struct head* h = heads; h < heads + head_count; h++) {
    if (!h->running || h->flip_pending) {
      continue;
    }
    if (h->next <= at) {
      if (flip(h) < 0) {
        say_error("run");
        h->running = false;
        continue;
      }
      /* A late flip is not made up for: the rate is a ceiling. */
      h->next += h->period;
      h->next = h->next < at ? at : h->next;
    } else if (h->next < soonest) {
      soonest = h->next;
    }
  }
  return soonest == UINT64_MAX ? -1 : (int)((soonest - at + 999999) / 1000000);
}

int main(void) {
  static char line[4096];
  size_t used = 0;
  const char* path = getenv("CARD") ? getenv("CARD") : "/dev/dri/card0";
  int uevents = open_uevents();

  card = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (card < 0 || uevents < 0 || find_heads() < 0) {
    fprintf(stderr, "kms-paint: %s: %s\n", path, strerror(errno));
    return 1;
  }
  for (;;) {
    int timeout = start_due_flips();
    struct pollfd fds[] = {{.fd = 0, .events = POLLIN},
                           {.fd = card, .events = POLLIN},
                           {.fd = uevents, .events = POLLIN}};
    if (poll(fds, 3, timeout) < 0 && errno != EINTR) {
      perror("kms-paint: poll");
      return 1;
    }
    if (fds[1].revents) {
      read_flip_events();
    }
    if (fds[2].revents) {
      char event[8192];
      bool hotplug = false;
      for (ssize_t size; (size = recv(uevents, event, sizeof event, 0)) > 0;) {
        hotplug |= memmem(event, (size_t)size, "HOTPLUG=1", 9) != NULL;
      }
      if (hotplug && following) {
        follow_host();
      }
    }
    if (fds[0].revents) {
      ssize_t size = read(0, line + used, sizeof line - 1 - used);
      if (size <= 0) {
        return 0; /* the kernel frees what is ours */
      }
      used += (size_t)size;
      for (char* end; (end = memchr(line, '\n', used)) != NULL;) {
        *end = 0;
        command(line);
        used -= (size_t)(end + 1 - line);
        memmove(line, end + 1, used);
      }
      if (used == sizeof line - 1) {
        fprintf(stderr, "kms-paint: a command is too long\n");
        return 1;
      }
    }
  }
}
