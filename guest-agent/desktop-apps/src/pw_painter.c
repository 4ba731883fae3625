// pw-painter: a PipeWire video source that needs no compositor. It drives its own graph with a
// timer and publishes the test pattern (pattern.h) as BGRx in memfd buffers, with the metas that a
// compositor would send: header (PTS of CLOCK_MONOTONIC, sequence) and damage.
//
// Prints "node ID" once the node exists and "painted N" when it ends (SIGTERM, SIGINT).
#include <errno.h>
#include <getopt.h>
#include <pipewire/pipewire.h>
#include <signal.h>
#include <spa/param/video/format-utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

enum { BUFFERS = 6, BUFFERS_MAX = 16, DAMAGE_RECTS = 4 };

struct painter {
  struct pw_main_loop* loop;
  struct pw_stream* stream;
  struct spa_source* timer;
  const char* name;
  int width, height, fps;
  bool still;
  bool announced;
  uint32_t sequence;    // of the next picture
  uint64_t still_time;  // stamp of the still picture, 0 until it is painted
  int exit_status;
};

static size_t stride_of(const struct painter* p) {
  return (size_t)p->width * 4;
}
static size_t size_of(const struct painter* p) {
  return stride_of(p) * (size_t)p->height;
}

static uint64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void set_timer(struct painter* p, uint64_t first_ns, uint64_t interval_ns) {
  struct timespec first = {.tv_sec = (time_t)(first_ns / 1000000000u),
                           .tv_nsec = (long)(first_ns % 1000000000u)};
  struct timespec interval = {.tv_sec = (time_t)(interval_ns / 1000000000u),
                              .tv_nsec = (long)(interval_ns % 1000000000u)};
  pw_loop_update_timer(pw_main_loop_get_loop(p->loop), p->timer, &first, &interval, false);
}

static void fill_meta(const struct painter* p, struct spa_buffer* buffer, uint64_t pts) {
  struct spa_meta_header* header =
      spa_buffer_find_meta_data(buffer, SPA_META_Header, sizeof(*header));
  if (header != NULL) {
    header->flags = 0;
    header->offset = 0;
    header->pts = (int64_t)pts;
    header->dts_offset = 0;
    header->seq = p->sequence;
  }
  struct spa_meta* damage = spa_buffer_find_meta(buffer, SPA_META_VideoDamage);
  if (damage != NULL) {
    struct spa_meta_region* region;
    bool first = true;
    spa_meta_for_each(region, damage) {
      region->region = first ? SPA_REGION(0, 0, (uint32_t)p->width, (uint32_t)p->height)
                             : SPA_REGION(0, 0, 0, 0);
      first = false;
    }
  }
}

static void on_tick(void* data, uint64_t expirations) {
  struct painter* p = data;
  // Expirations missed while the machine was busy are pictures never painted: numbers stay dense,
  // so that a gap seen by a consumer is a loss behind this point.
  (void)expirations;
  struct pw_buffer* buffer = pw_stream_dequeue_buffer(p->stream);
  if (buffer == NULL) return;  // the consumer holds all of them: skip, never overwrite
  struct spa_data* plane = &buffer->buffer->datas[0];
  uint64_t pts = monotonic_ns();
  uint64_t stamp = p->still && p->still_time != 0 ? p->still_time : pattern_now_us();
  pattern_paint(buffer->user_data, p->width, p->height, stride_of(p), p->sequence, stamp);
  fill_meta(p, buffer->buffer, pts);
  plane->chunk->offset = 0;
  plane->chunk->size = (uint32_t)size_of(p);
  plane->chunk->stride = (int32_t)stride_of(p);
  plane->chunk->flags = 0;
  if (p->still)
    p->still_time = stamp;
  else
    p->sequence++;
  pw_stream_queue_buffer(p->stream, buffer);
  pw_stream_trigger_process(p->stream);
}

static void on_state_changed(void* data, enum pw_stream_state old, enum pw_stream_state state,
                             const char* error) {
  struct painter* p = data;
  (void)old;
  switch (state) {
    case PW_STREAM_STATE_ERROR:
      fprintf(stderr, "pw-painter: stream failed: %s\n", error != NULL ? error : "no reason given");
      p->exit_status = 1;
      pw_main_loop_quit(p->loop);
      return;
    case PW_STREAM_STATE_PAUSED:
      if (!p->announced) {
        printf("node %u\n", pw_stream_get_node_id(p->stream));
        fflush(stdout);
        p->announced = true;
      }
      set_timer(p, 0, 0);
      return;
    case PW_STREAM_STATE_STREAMING:
      // 1 ns: a timer of 0 is a disarmed one. A still source sends its picture once per start.
      set_timer(p, 1, p->still ? 0 : 1000000000u / (uint64_t)p->fps);
      return;
    default:
      set_timer(p, 0, 0);
  }
}

static void on_param_changed(void* data, uint32_t id, const struct spa_pod* param) {
  struct painter* p = data;
  if (param == NULL || id != SPA_PARAM_Format) return;
  uint8_t memory[1024];
  struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof(memory));
  const struct spa_pod* params[3];
  params[0] = spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers, SPA_PARAM_BUFFERS_buffers,
      SPA_POD_CHOICE_RANGE_Int(BUFFERS, 2, BUFFERS_MAX), SPA_PARAM_BUFFERS_blocks, SPA_POD_Int(1),
      SPA_PARAM_BUFFERS_size, SPA_POD_Int((int32_t)size_of(p)), SPA_PARAM_BUFFERS_stride,
      SPA_POD_Int((int32_t)stride_of(p)), SPA_PARAM_BUFFERS_dataType,
      SPA_POD_CHOICE_FLAGS_Int(1 << SPA_DATA_MemFd));
  params[1] = spa_pod_builder_add_object(&builder, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta,
                                         SPA_PARAM_META_type, SPA_POD_Id(SPA_META_Header),
                                         SPA_PARAM_META_size,
                                         SPA_POD_Int((int32_t)sizeof(struct spa_meta_header)));
  int regions = (int32_t)sizeof(struct spa_meta_region);
  params[2] = spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta, SPA_PARAM_META_type,
      SPA_POD_Id(SPA_META_VideoDamage), SPA_PARAM_META_size,
      SPA_POD_CHOICE_RANGE_Int(regions * DAMAGE_RECTS, regions, regions * DAMAGE_RECTS));
  pw_stream_update_params(p->stream, params, 3);
}

static void on_add_buffer(void* data, struct pw_buffer* buffer) {
  struct painter* p = data;
  struct spa_data* plane = &buffer->buffer->datas[0];
  size_t size = size_of(p);
  int fd = memfd_create("pw-painter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  void* map = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) {
    fprintf(stderr, "pw-painter: no memory for a picture of %zu bytes: %s\n", size,
            strerror(errno));
    if (fd >= 0) close(fd);
    p->exit_status = 1;
    pw_main_loop_quit(p->loop);
    return;
  }
  plane->type = SPA_DATA_MemFd;
  plane->flags = SPA_DATA_FLAG_READWRITE;
  plane->fd = fd;
  plane->mapoffset = 0;
  plane->maxsize = (uint32_t)size;
  plane->data = map;
  buffer->user_data = map;
}

static void on_remove_buffer(void* data, struct pw_buffer* buffer) {
  struct painter* p = data;
  if (buffer->user_data == NULL) return;
  munmap(buffer->user_data, size_of(p));
  close((int)buffer->buffer->datas[0].fd);
}

static const struct pw_stream_events kStreamEvents = {
    PW_VERSION_STREAM_EVENTS,          .state_changed = on_state_changed,
    .param_changed = on_param_changed, .add_buffer = on_add_buffer,
    .remove_buffer = on_remove_buffer,
};

static void on_signal(void* data, int number) {
  struct painter* p = data;
  (void)number;
  pw_main_loop_quit(p->loop);
}

static int run(struct painter* p) {
  struct pw_loop* loop = pw_main_loop_get_loop(p->loop);
  pw_loop_add_signal(loop, SIGINT, on_signal, p);
  pw_loop_add_signal(loop, SIGTERM, on_signal, p);
  p->timer = pw_loop_add_timer(loop, on_tick, p);
  p->stream = pw_stream_new_simple(
      loop, p->name,
      pw_properties_new(PW_KEY_MEDIA_CLASS, "Video/Source", PW_KEY_NODE_NAME, p->name, NULL),
      &kStreamEvents, p);
  if (p->stream == NULL || p->timer == NULL) {
    fprintf(stderr, "pw-painter: cannot create a stream: %s\n", strerror(errno));
    return 1;
  }
  uint8_t memory[512];
  struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof(memory));
  struct spa_rectangle size = SPA_RECTANGLE((uint32_t)p->width, (uint32_t)p->height);
  struct spa_fraction variable = SPA_FRACTION(0, 1);
  struct spa_fraction most = SPA_FRACTION((uint32_t)p->fps, 1);
  struct spa_fraction least = SPA_FRACTION(1, 1);
  const struct spa_pod* format = spa_pod_builder_add_object(
      &builder, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat, SPA_FORMAT_mediaType,
      SPA_POD_Id(SPA_MEDIA_TYPE_video), SPA_FORMAT_mediaSubtype, SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw),
      SPA_FORMAT_VIDEO_format, SPA_POD_Id(SPA_VIDEO_FORMAT_BGRx), SPA_FORMAT_VIDEO_size,
      SPA_POD_Rectangle(&size), SPA_FORMAT_VIDEO_framerate, SPA_POD_Fraction(&variable),
      SPA_FORMAT_VIDEO_maxFramerate, SPA_POD_CHOICE_RANGE_Fraction(&most, &least, &most));
  int result = pw_stream_connect(p->stream, PW_DIRECTION_OUTPUT, PW_ID_ANY,
                                 PW_STREAM_FLAG_DRIVER | PW_STREAM_FLAG_ALLOC_BUFFERS, &format, 1);
  if (result < 0) {
    fprintf(stderr, "pw-painter: cannot connect to PipeWire: %s\n", strerror(-result));
    pw_stream_destroy(p->stream);
    return 1;
  }
  pw_main_loop_run(p->loop);
  printf("painted %u\n", p->sequence);
  pw_stream_destroy(p->stream);
  return p->exit_status;
}

static void usage(FILE* to) {
  fputs(
      "usage: pw-painter [--size WxH] [--fps N] [--name NAME] [--still]\n"
      "A PipeWire video source that sends the numbered test pattern.\n"
      "  --size WxH   pixels, 64x64 to 8192x8192 (1280x720)\n"
      "  --fps N      frames per second, 1 to 1000 (60)\n"
      "  --name NAME  node.name (scanbridge-painter)\n"
      "  --still      one picture per start of the stream, always the same one\n",
      to);
}

int main(int argc, char** argv) {
  static const struct option kOptions[] = {
      {"size", required_argument, NULL, 's'}, {"fps", required_argument, NULL, 'f'},
      {"name", required_argument, NULL, 'n'}, {"still", no_argument, NULL, 'S'},
      {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
  struct painter painter = {.width = 1280, .height = 720, .fps = 60, .name = "scanbridge-painter"};
  for (int option; (option = getopt_long(argc, argv, "", kOptions, NULL)) != -1;) {
    bool valid = true;
    if (option == 's') valid = pattern_parse_size(optarg, &painter.width, &painter.height) == 0;
    if (option == 'f') valid = (painter.fps = atoi(optarg)) >= 1 && painter.fps <= 1000;
    if (option == 'n') painter.name = optarg;
    if (option == 'S') painter.still = true;
    if (option == 'h' || option == '?' || !valid) {
      usage(option == 'h' ? stdout : stderr);
      return option == 'h' ? 0 : 2;
    }
  }
  pw_init(&argc, &argv);
  painter.loop = pw_main_loop_new(NULL);
  int status = painter.loop != NULL ? run(&painter) : 1;
  if (painter.loop != NULL) pw_main_loop_destroy(painter.loop);
  pw_deinit();
  return status;
}
