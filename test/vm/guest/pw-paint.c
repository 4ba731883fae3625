/*
 * pw-paint SIZE MEMORY [BUFFERS [PAINTER]]: a screen cast whose pictures are known (pattern.h), as
 * PipeWire node "pw-paint".
 *
 * SIZE     WIDTHxHEIGHT in pixels, at least as large as the mark
 * MEMORY   dumb    buffers of the virtual GPU's display half, offered as DmaBuf with modifier
 * LINEAR gbm     buffers that GBM makes on the render node, offered with LINEAR and with the
 * implicit modifier vgem    dumb buffers of another device, vgem: DmaBufs that the virtual GPU does
 * not know; beside MemFd memfd   shared memory BUFFERS  of the pool, 2 to 16 (4) PAINTER  what the
 * mark will say, 0 to 15 (0)
 *
 * Commands on standard input, one a line:
 *   frame          paint the mark with the next sequence number into a free buffer, and send it
 *   run RATE       do that RATE times a second; 0 ends it
 *   resize SIZE    negotiate other buffers
 *   quit
 *
 * Standard output has a line of JSON for each event: state (with the node's id), buffer (its GEM
 * handle and its resource id on the host, as the maker of the buffer knows them), removed, frame,
 * starved.
 *
 * The background is painted once into each buffer, the mark for each frame; the damage says so.
 */
#define _GNU_SOURCE
#include <drm.h>
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <gbm.h>
#include <inttypes.h>
#include <pipewire/pipewire.h>
#include <spa/param/video/format-utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <virtgpu_drm.h>

#include "drm-buffer.h"

#define MAX_BUFFERS 16u
/* Allocated first on another open file of the device, so that handles and resource ids differ. */
#define DECOYS 5u

enum memory { DUMB, GBM, VGEM, MEMFD };

struct picture {
  struct buffer drm; /* dumb, vgem */
  struct gbm_bo* bo; /* gbm */
  struct canvas canvas;
  int fd;
  uint32_t size;
};

static struct {
  enum memory memory;
  uint32_t width, height, count;
  uint8_t painter;
  bool rendering; /* the host has textures, which the guest's drawing reaches by a transfer */
  bool streaming, has_modifier;
  uint32_t sequence, rate;
  const struct format* format;
  int render_node;
  struct gbm_device* gbm;
  struct pw_main_loop* loop;
  struct pw_stream* stream;
  struct spa_source* timer;
  char line[256];
  size_t length;
} it = {.count = 4, .render_node = -1};

static void fail(const char* what) {
  fprintf(stderr, "pw-paint: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t microseconds(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool is_virtio(int fd) {
  char name[16] = "";
  struct drm_version version = {.name = name, .name_len = sizeof name - 1};

  return ioctl(fd, DRM_IOCTL_VERSION, &version) == 0 && strcmp(name, "virtio_gpu") == 0;
}

/* The first node /dev/dri/KIND* whose driver is virtio_gpu, or is not. */
static bool find_node(const char* kind, int first, bool virtio, char path[static 32]) {
  for (int i = first; i < first + 8; i++) {
    snprintf(path, 32, "/dev/dri/%s%d", kind, i);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
      continue;
    }
    bool found = is_virtio(fd) == virtio;
    close(fd);
    if (found) {
      return true;
    }
  }
  return false;
}

static void make_decoys(const char* path) {
  /* Kept open to the end. */
  int fd = open(path, O_RDWR | O_CLOEXEC);

  for (unsigned i = 0; i < DECOYS; i++) {
    struct drm_mode_create_dumb create = {.width = 64, .height = 64, .bpp = 32};
    if (fd < 0 || ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0) {
      fail("no decoys");
    }
  }
}

static void open_devices(void) {
  char path[32];

  if (it.memory == MEMFD) {
    return;
  }
  if (it.memory == GBM) {
    errno = ENODEV;
    if (!find_node("renderD", 128, true, path) ||
        (it.render_node = open(path, O_RDWR | O_CLOEXEC)) < 0 ||
        (it.gbm = gbm_create_device(it.render_node)) == NULL) {
      fail("no GBM device");
    }
    return;
  }
  errno = ENODEV;
  if (!find_node("card", 0, it.memory == DUMB, path) || drm_open(path) < 0) {
    fail("no such device");
  }
  if (it.memory == DUMB) {
    int value = 0;
    struct drm_virtgpu_getparam get = {.param = VIRTGPU_PARAM_3D_FEATURES,
                                       .value = (uintptr_t)&value};
    it.rendering = drm(DRM_IOCTL_VIRTGPU_GETPARAM, &get) == 0 && value != 0;
    make_decoys(path);
  }
}

static uint32_t resource_of(uint32_t handle, int fd) {
  struct drm_virtgpu_resource_info info = {.bo_handle = handle};

  return ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info) == 0 ? info.res_handle : 0;
}

static void set_canvas(struct picture* p, uint32_t stride) {
  p->canvas.width = it.width;
  p->canvas.height = it.height;
  p->canvas.stride = stride;
  p->canvas.red = it.format->red;
  p->canvas.green = it.format->green;
  p->canvas.blue = it.format->blue;
}

/* Makes what was drawn into rows [top, top + rows) known to the host, where it has to be. */
static void flush(struct picture* p, uint32_t top, uint32_t rows) {
  if (it.memory != DUMB || !it.rendering) {
    return;
  }
  p->drm.dumb = false;
  if (transfer(&p->drm, top, rows) < 0) {
    fail("no transfer");
  }
  p->drm.dumb = true;
}

/* Maps the rows for drawing and calls it done; GBM brings them to the host when it unmaps. */
static void draw(struct picture* p, uint32_t rows, void (*paint)(struct canvas*)) {
  void* data = NULL;

  if (p->bo != NULL) {
    uint32_t stride = 0;
    p->canvas.pixels =
        gbm_bo_map(p->bo, 0, 0, it.width, rows, GBM_BO_TRANSFER_WRITE, &stride, &data);
    if (p->canvas.pixels == NULL) {
      fail("cannot map a buffer of GBM");
    }
    p->canvas.stride = stride;
  }
  paint(&p->canvas);
  if (p->bo != NULL) {
    gbm_bo_unmap(p->bo, data);
  }
  flush(p, 0, rows);
}

static void paint_all(struct canvas* c) {
  paint_background(c, it.painter);
}

static void paint_next_mark(struct canvas* c) {
  paint_mark(c, 0, 0, it.painter, it.sequence, microseconds());
}

static void make_picture(struct picture* p) {
  uint32_t handle = 0, resource = 0, stride = it.width * 4;

  if (it.memory == MEMFD) {
    p->size = stride * it.height;
    p->fd = memfd_create("pw-paint", MFD_CLOEXEC);
    if (p->fd < 0 || ftruncate(p->fd, p->size) < 0) {
      fail("no shared memory");
    }
    p->canvas.pixels = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
    if (p->canvas.pixels == MAP_FAILED) {
      fail("shared memory cannot be mapped");
    }
    set_canvas(p, stride);
  } else if (it.memory == GBM) {
    p->bo = gbm_bo_create(it.gbm, it.width, it.height, GBM_FORMAT_XRGB8888, GBM_BO_USE_RENDERING);
    if (p->bo == NULL || (p->fd = gbm_bo_get_fd(p->bo)) < 0) {
      fail("no buffer of GBM");
    }
    stride = gbm_bo_get_stride(p->bo);
    p->size = stride * it.height;
    handle = gbm_bo_get_handle(p->bo).u32;
    resource = resource_of(handle, it.render_node);
    set_canvas(p, stride);
  } else {
    if (it.memory == DUMB) {
      if (make_buffer(&p->drm, it.width, it.height, it.format, true) < 0) {
        fail("no dumb buffer");
      }
    } else {
      struct drm_mode_create_dumb create = {.width = it.width, .height = it.height, .bpp = 32};
      struct drm_mode_map_dumb map = {0};
      if (drm(DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0) {
        fail("no buffer of vgem");
      }
      p->drm.handle = map.handle = create.handle;
      p->drm.size = create.size;
      p->drm.canvas.stride = create.pitch;
      (void)drm(DRM_IOCTL_MODE_MAP_DUMB, &map);
    }
    handle = p->drm.handle;
    resource = p->drm.resource;
    struct drm_prime_handle prime = {.handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR};
    if (drm(DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) < 0) {
      fail("no dma-buf");
    }
    p->fd = prime.fd;
    p->size = (uint32_t)p->drm.size;
    p->canvas = p->drm.canvas;
    set_canvas(p, p->drm.canvas.stride);
  }
  if (it.memory != VGEM) {
    draw(p, it.height, paint_all);
  }
  printf("{\"event\":\"buffer\",\"handle\":%u,\"resource\":%u,\"stride\":%u}\n", handle, resource,
         stride);
}

static const struct spa_pod* build_format(struct spa_pod_builder* builder, bool modifiers,
                                          const uint64_t* fixed) {
  struct spa_pod_frame object, choice;
  const struct spa_rectangle size = {it.width, it.height};
  const struct spa_fraction variable = {0, 1}, most = {240, 1}, least = {1, 1};

  spa_pod_builder_push_object(builder, &object, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat);
  spa_pod_builder_add(builder, SPA_FORMAT_mediaType, SPA_POD_Id(SPA_MEDIA_TYPE_video),
                      SPA_FORMAT_mediaSubtype, SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw),
                      SPA_FORMAT_VIDEO_format, SPA_POD_Id(SPA_VIDEO_FORMAT_BGRx), 0);
  if (modifiers && fixed != NULL) {
    spa_pod_builder_prop(builder, SPA_FORMAT_VIDEO_modifier, SPA_POD_PROP_FLAG_MANDATORY);
    spa_pod_builder_long(builder, (int64_t)*fixed);
  } else if (modifiers) {
    spa_pod_builder_prop(builder, SPA_FORMAT_VIDEO_modifier,
                         SPA_POD_PROP_FLAG_MANDATORY | SPA_POD_PROP_FLAG_DONT_FIXATE);
    spa_pod_builder_push_choice(builder, &choice, SPA_CHOICE_Enum, 0);
    spa_pod_builder_long(builder, (int64_t)DRM_FORMAT_MOD_LINEAR);
    spa_pod_builder_long(builder, (int64_t)DRM_FORMAT_MOD_LINEAR);
    if (it.memory == GBM) {
      spa_pod_builder_long(builder, (int64_t)DRM_FORMAT_MOD_INVALID);
    }
    spa_pod_builder_pop(builder, &choice);
  }
  spa_pod_builder_add(builder, SPA_FORMAT_VIDEO_size, SPA_POD_Rectangle(&size),
                      SPA_FORMAT_VIDEO_framerate, SPA_POD_Fraction(&variable),
                      SPA_FORMAT_VIDEO_maxFramerate,
                      SPA_POD_CHOICE_RANGE_Fraction(&most, &least, &most), 0);
  return spa_pod_builder_pop(builder, &object);
}

/* `fixed`: the modifier that was chosen, or NULL before. Returns how many. */
static uint32_t build_formats(struct spa_pod_builder* builder, const uint64_t* fixed,
                              const struct spa_pod* params[static 3]) {
  uint32_t count = 0;

  if (fixed != NULL) {
    params[count++] = build_format(builder, true, fixed);
  }
  if (it.memory != MEMFD) {
    params[count++] = build_format(builder, true, NULL);
  }
  if (it.memory == MEMFD || it.memory == VGEM) {
    params[count++] = build_format(builder, false, NULL);
  }
  return count;
}

static void offer_formats(const uint64_t* fixed) {
  uint8_t memory[4096];
  struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
  const struct spa_pod* params[3];

  pw_stream_update_params(it.stream, params, build_formats(&builder, fixed, params));
}

static void on_param_changed(void* data, uint32_t id, const struct spa_pod* param) {
  uint8_t memory[2048];
  struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
  const struct spa_pod* params[3];

  (void)data;
  if (param == NULL || id != SPA_PARAM_Format) {
    return;
  }
  const struct spa_pod_prop* modifier = spa_pod_find_prop(param, NULL, SPA_FORMAT_VIDEO_modifier);
  if (modifier != NULL && (modifier->flags & SPA_POD_PROP_FLAG_DONT_FIXATE) != 0) {
    uint32_t count, type;
    const struct spa_pod* values = spa_pod_get_values(&modifier->value, &count, &type);
    const uint64_t chosen = ((const uint64_t*)SPA_POD_BODY_CONST(values))[0];
    offer_formats(&chosen);
    return;
  }
  it.has_modifier = modifier != NULL;
  params[0] = spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers, SPA_PARAM_BUFFERS_buffers,
      SPA_POD_Int((int)it.count), SPA_PARAM_BUFFERS_blocks, SPA_POD_Int(1), SPA_PARAM_BUFFERS_size,
      SPA_POD_Int((int)(it.width * it.height * 4)), SPA_PARAM_BUFFERS_stride,
      SPA_POD_Int((int)(it.width * 4)), SPA_PARAM_BUFFERS_dataType,
      SPA_POD_CHOICE_FLAGS_Int(1 << (it.has_modifier ? SPA_DATA_DmaBuf : SPA_DATA_MemFd)));
  params[1] =
      spa_pod_builder_add_object(&builder, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta,
                                 SPA_PARAM_META_type, SPA_POD_Id(SPA_META_Header),
                                 SPA_PARAM_META_size, SPA_POD_Int(sizeof(struct spa_meta_header)));
  params[2] = spa_pod_builder_add_object(&builder, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta,
                                         SPA_PARAM_META_type, SPA_POD_Id(SPA_META_VideoDamage),
                                         SPA_PARAM_META_size,
                                         SPA_POD_Int(sizeof(struct spa_meta_region) * 4));
  pw_stream_update_params(it.stream, params, 3);
}

static void on_add_buffer(void* data, struct pw_buffer* buffer) {
  struct spa_data* d = &buffer->buffer->datas[0];
  struct picture* p = calloc(1, sizeof *p);
  const enum memory wanted = it.memory;

  (void)data;
  if (p == NULL) {
    fail("no memory");
  }
  if (!it.has_modifier) {
    it.memory = MEMFD;
  }
  make_picture(p);
  it.memory = wanted;
  d->type = it.has_modifier ? SPA_DATA_DmaBuf : SPA_DATA_MemFd;
  d->flags = SPA_DATA_FLAG_READWRITE;
  d->fd = p->fd;
  d->mapoffset = 0;
  d->maxsize = p->size;
  d->data = NULL;
  buffer->user_data = p;
}

static void on_remove_buffer(void* data, struct pw_buffer* buffer) {
  struct picture* p = buffer->user_data;

  (void)data;
  printf("{\"event\":\"removed\",\"resource\":%u}\n", p->drm.resource);
  close(p->fd);
  if (p->bo != NULL) {
    gbm_bo_destroy(p->bo);
  } else if (p->drm.handle == 0) {
    munmap(p->canvas.pixels, p->size);
  }
  free_buffer(&p->drm);
  free(p);
}

static void send_frame(void) {
  struct pw_buffer* buffer = it.streaming ? pw_stream_dequeue_buffer(it.stream) : NULL;

  if (buffer == NULL) {
    printf("{\"event\":\"starved\",\"streaming\":%s}\n", it.streaming ? "true" : "false");
    return;
  }
  struct picture* p = buffer->user_data;
  struct spa_data* d = &buffer->buffer->datas[0];
  it.sequence++;
  if (p->canvas.pixels != NULL || p->bo != NULL) {
    draw(p, MARK_HEIGHT, paint_next_mark);
  }
  d->chunk->offset = 0;
  d->chunk->stride = (int32_t)(p->canvas.stride != 0 ? p->canvas.stride : it.width * 4);
  d->chunk->size = (uint32_t)d->chunk->stride * it.height;
  d->chunk->flags = 0;
  struct spa_meta_header* header =
      spa_buffer_find_meta_data(buffer->buffer, SPA_META_Header, sizeof *header);
  if (header != NULL) {
    memset(header, 0, sizeof *header);
    header->pts = (int64_t)microseconds() * 1000;
    header->seq = it.sequence;
  }
  struct spa_meta* damage = spa_buffer_find_meta(buffer->buffer, SPA_META_VideoDamage);
  if (damage != NULL) {
    struct spa_meta_region* regions = spa_meta_first(damage);
    memset(regions, 0, damage->size);
    regions[0].region = SPA_REGION(0, 0, MARK_WIDTH, MARK_HEIGHT);
  }
  pw_stream_queue_buffer(it.stream, buffer);
  pw_stream_trigger_process(it.stream);
  printf("{\"event\":\"frame\",\"sequence\":%u,\"resource\":%u}\n", it.sequence, p->drm.resource);
}

static void on_timer(void* data, uint64_t expirations) {
  (void)data;
  (void)expirations;
  send_frame();
}

static void set_rate(uint32_t rate) {
  struct timespec first = {0, 0}, interval = {0, 0};

  it.rate = rate;
  if (rate > 0 && it.streaming) {
    first.tv_nsec = 1;
    interval.tv_sec = rate == 1 ? 1 : 0;
    interval.tv_nsec = rate == 1 ? 0 : SPA_NSEC_PER_SEC / rate;
  }
  pw_loop_update_timer(pw_main_loop_get_loop(it.loop), it.timer, &first, &interval, false);
}

static void on_state_changed(void* data, enum pw_stream_state old, enum pw_stream_state state,
                             const char* error) {
  (void)data;
  (void)old;
  it.streaming = state == PW_STREAM_STATE_STREAMING;
  printf("{\"event\":\"state\",\"state\":\"%s\",\"node\":%d}\n", pw_stream_state_as_string(state),
         (int)pw_stream_get_node_id(it.stream));
  if (state == PW_STREAM_STATE_ERROR || state == PW_STREAM_STATE_UNCONNECTED) {
    fprintf(stderr, "pw-paint: %s\n", error != NULL ? error : "disconnected");
    pw_main_loop_quit(it.loop);
    return;
  }
  set_rate(it.rate);
}

static bool parse_size(const char* text) {
  uint32_t width, height;

  if (sscanf(text, "%" SCNu32 "x%" SCNu32, &width, &height) != 2 || width < MARK_WIDTH ||
      height < MARK_HEIGHT || width > 16384 || height > 16384) {
    return false;
  }
  it.width = width;
  it.height = height;
  return true;
}

static void obey(const char* line) {
  unsigned rate;

  if (strcmp(line, "frame") == 0) {
    send_frame();
  } else if (sscanf(line, "run %u", &rate) == 1) {
    set_rate(rate);
  } else if (strncmp(line, "resize ", 7) == 0 && parse_size(line + 7)) {
    offer_formats(NULL);
  } else if (strcmp(line, "quit") == 0) {
    pw_main_loop_quit(it.loop);
  } else {
    fprintf(stderr, "pw-paint: unknown command: %s\n", line);
  }
}

static void on_input(void* data, int fd, uint32_t mask) {
  const ssize_t got = read(fd, it.line + it.length, sizeof it.line - 1 - it.length);

  (void)data;
  (void)mask;
  if (got <= 0) {
    /* Whoever started this has gone. */
    pw_main_loop_quit(it.loop);
    return;
  }
  it.length += (size_t)got;
  it.line[it.length] = '\0';
  char* begin = it.line;
  for (char* end; (end = strchr(begin, '\n')) != NULL; begin = end + 1) {
    *end = '\0';
    obey(begin);
  }
  it.length = strlen(begin);
  memmove(it.line, begin, it.length + 1);
  if (it.length == sizeof it.line - 1) {
    it.length = 0;
  }
}

static bool parse_arguments(int argc, char** argv) {
  static const char* const names[] = {"dumb", "gbm", "vgem", "memfd"};
  unsigned memory = 0;

  if (argc < 3 || argc > 5 || !parse_size(argv[1])) {
    return false;
  }
  while (memory < 4 && strcmp(argv[2], names[memory]) != 0) {
    memory++;
  }
  it.memory = (enum memory)memory;
  it.count = argc > 3 ? (uint32_t)atoi(argv[3]) : it.count;
  it.painter = argc > 4 ? (uint8_t)atoi(argv[4]) : 0;
  return memory < 4 && it.count >= 2 && it.count <= MAX_BUFFERS && it.painter < 16;
}

int main(int argc, char** argv) {
  static const struct pw_stream_events events = {
      PW_VERSION_STREAM_EVENTS,          .state_changed = on_state_changed,
      .param_changed = on_param_changed, .add_buffer = on_add_buffer,
      .remove_buffer = on_remove_buffer,
  };
  uint8_t memory[4096];
  struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
  const struct spa_pod* params[3];
  int status = 1;

  if (!parse_arguments(argc, argv)) {
    fputs("usage: pw-paint WIDTHxHEIGHT dumb|gbm|vgem|memfd [BUFFERS [PAINTER]]\n", stderr);
    return 2;
  }
  it.format = find_format("XR24");
  setvbuf(stdout, NULL, _IOLBF, 0);
  open_devices();
  pw_init(NULL, NULL);
  it.loop = pw_main_loop_new(NULL);
  if (it.loop == NULL) {
    fail("no loop");
  }
  struct pw_loop* loop = pw_main_loop_get_loop(it.loop);
  it.timer = pw_loop_add_timer(loop, on_timer, NULL);
  struct spa_source* input =
      pw_loop_add_io(loop, STDIN_FILENO, SPA_IO_IN | SPA_IO_HUP, false, on_input, NULL);
  it.stream = pw_stream_new_simple(
      loop, "pw-paint",
      pw_properties_new(PW_KEY_MEDIA_CLASS, "Video/Source", PW_KEY_NODE_NAME, "pw-paint", NULL),
      &events, NULL);
  if (it.timer == NULL || input == NULL || it.stream == NULL) {
    fail("no PipeWire");
  }
  const uint32_t count = build_formats(&builder, NULL, params);
  if (pw_stream_connect(it.stream, PW_DIRECTION_OUTPUT, PW_ID_ANY,
                        PW_STREAM_FLAG_DRIVER | PW_STREAM_FLAG_ALLOC_BUFFERS, params, count) < 0) {
    fail("PipeWire refused the stream");
  } else {
    pw_main_loop_run(it.loop);
    status = 0;
  }
  pw_stream_destroy(it.stream);
  pw_main_loop_destroy(it.loop);
  pw_deinit();
  return status;
}
