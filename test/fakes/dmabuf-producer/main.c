/* SPDX-License-Identifier: Apache-2.0 */
/* A fake compositor for tests: see README.md. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pipewire/pipewire.h>
#include <spa/param/video/format-utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "picture.h"

enum { CURSOR_SIDE = 8, DAMAGE_REGIONS = 16 };
#define CURSOR_META_SIZE \
  (sizeof(struct spa_meta_cursor) + sizeof(struct spa_meta_bitmap) + CURSOR_SIDE * CURSOR_SIDE * 4)

struct producer {
  struct options options;
  struct pw_main_loop* loop;
  struct pw_stream* stream;
  struct spa_source* timer;
  struct spa_source* input;
  bool streaming;
  bool has_modifier;
  uint32_t sequence;
  bool cursor_known; /* The shape was sent. */
  bool cursor_shown;
  int32_t cursor_x;
  int32_t cursor_y;
  char line[256];
  size_t line_length;
};

static uint32_t stride_of(const struct producer* p) {
  return p->options.width * 4;
}

static uint32_t buffer_size(const struct producer* p) {
  const uint32_t whole = stride_of(p) * p->options.height;
  return p->options.short_buffers ? whole / 2 : whole;
}

static const struct spa_pod* build_format(const struct producer* p, struct spa_pod_builder* builder,
                                          bool with_modifier, const uint64_t* fixed) {
  struct spa_pod_frame object, choice;
  spa_pod_builder_push_object(builder, &object, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat);
  spa_pod_builder_add(
      builder, SPA_FORMAT_mediaType, SPA_POD_Id(SPA_MEDIA_TYPE_video), SPA_FORMAT_mediaSubtype,
      SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw), SPA_FORMAT_VIDEO_format,
      SPA_POD_Id(p->options.foreign_format ? SPA_VIDEO_FORMAT_NV12 : SPA_VIDEO_FORMAT_BGRx), 0);
  if (with_modifier && fixed != NULL) {
    spa_pod_builder_prop(builder, SPA_FORMAT_VIDEO_modifier, SPA_POD_PROP_FLAG_MANDATORY);
    spa_pod_builder_long(builder, (int64_t)*fixed);
  } else if (with_modifier) {
    spa_pod_builder_prop(builder, SPA_FORMAT_VIDEO_modifier,
                         SPA_POD_PROP_FLAG_MANDATORY | SPA_POD_PROP_FLAG_DONT_FIXATE);
    spa_pod_builder_push_choice(builder, &choice, SPA_CHOICE_Enum, 0);
    spa_pod_builder_long(builder, (int64_t)p->options.modifiers[0]);
    for (unsigned i = 0; i < p->options.modifier_count; i++) {
      spa_pod_builder_long(builder, (int64_t)p->options.modifiers[i]);
    }
    spa_pod_builder_pop(builder, &choice);
  }
  spa_pod_builder_add(
      builder, SPA_FORMAT_VIDEO_size,
      SPA_POD_Rectangle(&SPA_RECTANGLE(p->options.width, p->options.height)),
      SPA_FORMAT_VIDEO_framerate, SPA_POD_Fraction(&SPA_FRACTION(0, 1)),
      SPA_FORMAT_VIDEO_maxFramerate,
      SPA_POD_CHOICE_RANGE_Fraction(&SPA_FRACTION(p->options.max_fps, 1), &SPA_FRACTION(1, 1),
                                    &SPA_FRACTION(p->options.max_fps, 1)),
      0);
  return spa_pod_builder_pop(builder, &object);
}

/* `fixed`: the modifier that was chosen, or NULL before. */
static void offer_formats(const struct producer* p, struct spa_pod_builder* builder,
                          const uint64_t* fixed, const struct spa_pod** params, uint32_t* count) {
  *count = 0;
  if (fixed != NULL) params[(*count)++] = build_format(p, builder, true, fixed);
  if (p->options.modifier_count > 0) params[(*count)++] = build_format(p, builder, true, NULL);
  if (p->options.shared_memory) params[(*count)++] = build_format(p, builder, false, NULL);
}

static const struct spa_pod* build_meta(struct spa_pod_builder* builder, uint32_t type,
                                        size_t size) {
  return spa_pod_builder_add_object(builder, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta,
                                    SPA_PARAM_META_type, SPA_POD_Id(type), SPA_PARAM_META_size,
                                    SPA_POD_Int((int)size));
}

static void offer_buffers(struct producer* p) {
  uint8_t memory[2048];
  struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
  const struct spa_pod* params[4];
  params[0] = spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers, SPA_PARAM_BUFFERS_buffers,
      SPA_POD_Int((int)p->options.buffers), SPA_PARAM_BUFFERS_blocks, SPA_POD_Int(1),
      SPA_PARAM_BUFFERS_size, SPA_POD_Int((int)buffer_size(p)), SPA_PARAM_BUFFERS_stride,
      SPA_POD_Int((int)stride_of(p)), SPA_PARAM_BUFFERS_dataType,
      SPA_POD_CHOICE_FLAGS_Int(1 << (p->has_modifier ? SPA_DATA_DmaBuf : SPA_DATA_MemFd)));
  params[1] = build_meta(&builder, SPA_META_Header, sizeof(struct spa_meta_header));
  params[2] =
      build_meta(&builder, SPA_META_VideoDamage, sizeof(struct spa_meta_region) * DAMAGE_REGIONS);
  params[3] = build_meta(&builder, SPA_META_Cursor, CURSOR_META_SIZE);
  pw_stream_update_params(p->stream, params, 4);
}

static void on_param_changed(void* data, uint32_t id, const struct spa_pod* param) {
  struct producer* p = data;
  if (param == NULL || id != SPA_PARAM_Format) return;
  struct spa_video_info_raw info;
  if (spa_format_video_raw_parse(param, &info) < 0) return;
  const struct spa_pod_prop* modifier = spa_pod_find_prop(param, NULL, SPA_FORMAT_VIDEO_modifier);
  if (modifier != NULL && (modifier->flags & SPA_POD_PROP_FLAG_DONT_FIXATE) != 0) {
    /* A compositor would try to allocate with each; this one can with any, so it takes the first.
     */
    uint32_t count, type;
    const struct spa_pod* values = spa_pod_get_values(&modifier->value, &count, &type);
    const uint64_t chosen = ((const uint64_t*)SPA_POD_BODY_CONST(values))[0];
    printf("{\"event\":\"fixate\",\"choices\":%u,\"modifier\":\"0x%" PRIx64 "\"}\n", count, chosen);
    uint8_t memory[4096];
    struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
    const struct spa_pod* params[3];
    uint32_t offered;
    offer_formats(p, &builder, &chosen, params, &offered);
    pw_stream_update_params(p->stream, params, offered);
    return;
  }
  p->has_modifier = modifier != NULL;
  printf("{\"event\":\"format\",\"width\":%u,\"height\":%u,\"dmabuf\":%s,\"maxFps\":%u}\n",
         info.size.width, info.size.height, p->has_modifier ? "true" : "false",
         info.max_framerate.num);
  offer_buffers(p);
}

static void on_add_buffer(void* data, struct pw_buffer* buffer) {
  struct producer* p = data;
  struct spa_data* d = &buffer->buffer->datas[0];
  const uint32_t size = buffer_size(p);
  const int fd = memfd_create("dmabuf-producer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || ftruncate(fd, size) < 0) {
    perror("dmabuf-producer: no memory for a buffer");
    exit(1);
  }
  void* pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (pixels == MAP_FAILED) {
    perror("dmabuf-producer: a buffer cannot be mapped");
    exit(1);
  }
  d->type = p->has_modifier ? SPA_DATA_DmaBuf : SPA_DATA_MemFd;
  d->flags = SPA_DATA_FLAG_READWRITE;
  d->fd = fd;
  d->mapoffset = 0;
  d->maxsize = size;
  d->data = NULL;
  buffer->user_data = pixels;
}

static void on_remove_buffer(void* data, struct pw_buffer* buffer) {
  (void)data;
  struct spa_data* d = &buffer->buffer->datas[0];
  munmap(buffer->user_data, d->maxsize);
  close((int)d->fd);
}

static void write_cursor(struct producer* p, struct spa_buffer* buffer) {
  struct spa_meta_cursor* cursor =
      spa_buffer_find_meta_data(buffer, SPA_META_Cursor, CURSOR_META_SIZE);
  if (cursor == NULL) return;
  memset(cursor, 0, sizeof *cursor);
  if (!p->cursor_shown) return;
  cursor->id = 1;
  cursor->position = SPA_POINT(p->cursor_x, p->cursor_y);
  cursor->hotspot = SPA_POINT(1, 2);
  if (p->cursor_known) return;
  /* Red, opaque. */
  p->cursor_known = true;
  cursor->bitmap_offset = sizeof *cursor;
  struct spa_meta_bitmap* bitmap =
      SPA_PTROFF(cursor, cursor->bitmap_offset, struct spa_meta_bitmap);
  bitmap->format = SPA_VIDEO_FORMAT_RGBA;
  bitmap->size = SPA_RECTANGLE(CURSOR_SIDE, CURSOR_SIDE);
  bitmap->stride = CURSOR_SIDE * 4;
  bitmap->offset = sizeof *bitmap;
  uint8_t* pixels = SPA_PTROFF(bitmap, bitmap->offset, uint8_t);
  for (int i = 0; i < CURSOR_SIDE * CURSOR_SIDE; i++) {
    memcpy(pixels + i * 4, (const uint8_t[]){255, 0, 0, 255}, 4);
  }
}

/* `draw`: false for a buffer that only moves the cursor, as Mutter sends them. */
static void send_buffer(struct producer* p, bool draw) {
  struct pw_buffer* buffer = p->streaming ? pw_stream_dequeue_buffer(p->stream) : NULL;
  if (buffer == NULL) {
    printf("{\"event\":\"starved\",\"streaming\":%s}\n", p->streaming ? "true" : "false");
    return;
  }
  struct spa_data* d = &buffer->buffer->datas[0];
  d->chunk->offset = 0;
  d->chunk->stride = (int32_t)stride_of(p);
  d->chunk->size = draw ? stride_of(p) * p->options.height : 0;
  d->chunk->flags = draw ? 0 : SPA_CHUNK_FLAG_CORRUPTED;
  if (draw) {
    p->sequence++;
    if (!p->options.short_buffers) {
      paint(buffer->user_data, p->options.width, p->options.height, stride_of(p), p->sequence);
    }
  }
  struct spa_meta_header* header =
      spa_buffer_find_meta_data(buffer->buffer, SPA_META_Header, sizeof *header);
  if (header != NULL) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    memset(header, 0, sizeof *header);
    header->pts = SPA_TIMESPEC_TO_NSEC(&now);
    header->seq = p->sequence;
    header->flags = draw ? 0 : SPA_META_HEADER_FLAG_CORRUPTED;
  }
  struct spa_meta* damage = spa_buffer_find_meta(buffer->buffer, SPA_META_VideoDamage);
  if (damage != NULL) {
    /* The number's blocks, and the lower half: less than everything, so that tests can tell. */
    struct spa_meta_region* regions = spa_meta_first(damage);
    memset(regions, 0, damage->size);
    regions[0].region = SPA_REGION(0, 0, 512, 16);
    regions[1].region = SPA_REGION(0, (int32_t)p->options.height / 2, p->options.width,
                                   p->options.height - p->options.height / 2);
  }
  write_cursor(p, buffer->buffer);
  pw_stream_queue_buffer(p->stream, buffer);
  pw_stream_trigger_process(p->stream);
  printf("{\"event\":\"frame\",\"sequence\":%u,\"picture\":%s}\n", p->sequence,
         draw ? "true" : "false");
}

static void on_timer(void* data, uint64_t expirations) {
  (void)expirations;
  send_buffer(data, true);
}

static void set_rate(struct producer* p, uint32_t fps) {
  struct timespec value = {0, 0}, interval = {0, 0};
  p->options.fps = fps;
  if (fps > 0 && p->streaming) {
    value.tv_nsec = 1;
    interval.tv_sec = fps == 1 ? 1 : 0;
    interval.tv_nsec = fps == 1 ? 0 : SPA_NSEC_PER_SEC / fps;
  }
  pw_loop_update_timer(pw_main_loop_get_loop(p->loop), p->timer, &value, &interval, false);
}

static void on_state_changed(void* data, enum pw_stream_state old, enum pw_stream_state state,
                             const char* error) {
  struct producer* p = data;
  (void)old;
  p->streaming = state == PW_STREAM_STATE_STREAMING;
  printf("{\"event\":\"state\",\"state\":\"%s\",\"node\":%d}\n", pw_stream_state_as_string(state),
         (int)pw_stream_get_node_id(p->stream));
  if (state == PW_STREAM_STATE_ERROR || state == PW_STREAM_STATE_UNCONNECTED) {
    fprintf(stderr, "dmabuf-producer: %s\n", error != NULL ? error : "disconnected");
    pw_main_loop_quit(p->loop);
    return;
  }
  set_rate(p, p->options.fps);
}

static void resize(struct producer* p, uint32_t width, uint32_t height) {
  p->options.width = width;
  p->options.height = height;
  uint8_t memory[4096];
  struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
  const struct spa_pod* params[3];
  uint32_t count;
  offer_formats(p, &builder, NULL, params, &count);
  pw_stream_update_params(p->stream, params, count);
}

static void obey(struct producer* p, const char* line) {
  unsigned a, b;
  int x, y;
  if (strcmp(line, "frame") == 0) {
    send_buffer(p, true);
  } else if (sscanf(line, "run %u", &a) == 1) {
    set_rate(p, a);
  } else if (strcmp(line, "stop") == 0) {
    set_rate(p, 0);
  } else if (sscanf(line, "resize %u %u", &a, &b) == 2 && a >= 512 && a <= 16384 && b >= 32 &&
             b <= 16384) {
    resize(p, a, b);
  } else if (sscanf(line, "cursor %d %d", &x, &y) == 2) {
    p->cursor_shown = true;
    p->cursor_x = x;
    p->cursor_y = y;
    send_buffer(p, false);
  } else if (strcmp(line, "quit") == 0) {
    pw_main_loop_quit(p->loop);
  } else {
    fprintf(stderr, "dmabuf-producer: unknown command: %s\n", line);
  }
}

static void on_input(void* data, int fd, uint32_t mask) {
  struct producer* p = data;
  (void)mask;
  const ssize_t got = read(fd, p->line + p->line_length, sizeof p->line - 1 - p->line_length);
  if (got <= 0) {
    /* Whoever started this has gone. */
    pw_main_loop_quit(p->loop);
    return;
  }
  p->line_length += (size_t)got;
  p->line[p->line_length] = '\0';
  char* begin = p->line;
  for (char* end; (end = strchr(begin, '\n')) != NULL; begin = end + 1) {
    *end = '\0';
    obey(p, begin);
  }
  p->line_length = strlen(begin);
  memmove(p->line, begin, p->line_length + 1);
  if (p->line_length == sizeof p->line - 1) p->line_length = 0;
}

int main(int argc, char** argv) {
  static const struct pw_stream_events events = {
      PW_VERSION_STREAM_EVENTS,          .state_changed = on_state_changed,
      .param_changed = on_param_changed, .add_buffer = on_add_buffer,
      .remove_buffer = on_remove_buffer,
  };
  struct producer p = {0};
  int status = 1;
  if (!parse_options(&p.options, argc, argv)) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  pw_init(NULL, NULL);
  p.loop = pw_main_loop_new(NULL);
  if (p.loop == NULL) return 1;
  struct pw_loop* loop = pw_main_loop_get_loop(p.loop);
  p.timer = pw_loop_add_timer(loop, on_timer, &p);
  p.input = pw_loop_add_io(loop, STDIN_FILENO, SPA_IO_IN | SPA_IO_HUP, false, on_input, &p);
  p.stream = pw_stream_new_simple(loop, "dmabuf-producer",
                                  pw_properties_new(PW_KEY_MEDIA_CLASS, "Video/Source",
                                                    PW_KEY_NODE_NAME, "dmabuf-producer", NULL),
                                  &events, &p);
  if (p.timer == NULL || p.input == NULL || p.stream == NULL) {
    fprintf(stderr, "dmabuf-producer: no PipeWire: %s\n", strerror(errno));
    goto out;
  }
  uint8_t memory[4096];
  struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
  const struct spa_pod* params[3];
  uint32_t count;
  offer_formats(&p, &builder, NULL, params, &count);
  if (pw_stream_connect(p.stream, PW_DIRECTION_OUTPUT, PW_ID_ANY,
                        PW_STREAM_FLAG_DRIVER | PW_STREAM_FLAG_ALLOC_BUFFERS, params, count) < 0) {
    fputs("dmabuf-producer: PipeWire refused the stream\n", stderr);
    goto out;
  }
  pw_main_loop_run(p.loop);
  status = 0;
out:
  if (p.stream != NULL) pw_stream_destroy(p.stream);
  pw_main_loop_destroy(p.loop);
  pw_deinit();
  return status;
}
