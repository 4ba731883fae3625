/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void usage(FILE* out) {
  fputs(
      "usage: dmabuf-producer [options]\n"
      "A fake compositor: offers memfds as dma-bufs over PipeWire.\n"
      "  --width N, --height N   size of the picture [pixels], 1280 x 720\n"
      "  --fps N                 frames per second from the start on; 0, the default: on command "
      "only\n"
      "  --max-fps N             highest rate to negotiate, 60\n"
      "  --buffers N             size of the pool, 4\n"
      "  --modifiers A,B         modifiers to offer with dma-bufs, e.g. 0x0; none by default\n"
      "  --no-shm                no fallback to shared memory\n"
      "  --short-buffers         buffers are too small for the picture\n"
      "  --foreign-format        offer a pixel format that captures do not take\n",
      out);
}

static bool parse_number(const char* text, uint64_t max, uint64_t* value) {
  char* end;
  errno = 0;
  *value = strtoull(text, &end, 0);
  return errno == 0 && end != text && *end == '\0' && *value <= max;
}

static bool parse_modifiers(struct options* options, char* list) {
  char* rest = NULL;
  for (char* item = strtok_r(list, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
    if (options->modifier_count == MAX_MODIFIERS ||
        !parse_number(item, UINT64_MAX, &options->modifiers[options->modifier_count])) {
      return false;
    }
    options->modifier_count++;
  }
  return options->modifier_count > 0;
}

bool parse_options(struct options* options, int argc, char** argv) {
  static const struct option known[] = {
      {"width", required_argument, NULL, 'w'},
      {"height", required_argument, NULL, 'h'},
      {"fps", required_argument, NULL, 'f'},
      {"max-fps", required_argument, NULL, 'x'},
      {"buffers", required_argument, NULL, 'b'},
      {"modifiers", required_argument, NULL, 'm'},
      {"no-shm", no_argument, NULL, 'n'},
      {"short-buffers", no_argument, NULL, 's'},
      {"foreign-format", no_argument, NULL, 'o'},
      {"help", no_argument, NULL, '?'},
      {NULL, 0, NULL, 0},
  };
  *options = (struct options){
      .width = 1280, .height = 720, .max_fps = 60, .buffers = 4, .shared_memory = true};
  int option;
  while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
    uint64_t value = 0;
    bool valid = true;
    switch (option) {
      case 'w':
        valid = parse_number(optarg, 16384, &value) && value >= 512;
        options->width = (uint32_t)value;
        break;
      case 'h':
        valid = parse_number(optarg, 16384, &value) && value >= 32;
        options->height = (uint32_t)value;
        break;
      case 'f':
        valid = parse_number(optarg, 1000, &value);
        options->fps = (uint32_t)value;
        break;
      case 'x':
        valid = parse_number(optarg, 1000, &value) && value >= 1;
        options->max_fps = (uint32_t)value;
        break;
      case 'b':
        valid = parse_number(optarg, 16, &value) && value >= 1;
        options->buffers = (uint32_t)value;
        break;
      case 'm':
        valid = parse_modifiers(options, optarg);
        break;
      case 'n':
        options->shared_memory = false;
        break;
      case 's':
        options->short_buffers = true;
        break;
      case 'o':
        options->foreign_format = true;
        break;
      default:
        usage(optind > 1 && strcmp(argv[optind - 1], "--help") == 0 ? stdout : stderr);
        exit(optind > 1 && strcmp(argv[optind - 1], "--help") == 0 ? 0 : 2);
    }
    if (!valid) {
      fprintf(stderr, "dmabuf-producer: %s: not a value for this option\n", optarg);
      return false;
    }
  }
  if (options->modifier_count == 0 && !options->shared_memory) {
    fputs("dmabuf-producer: neither --modifiers nor shared memory leaves nothing to offer\n",
          stderr);
    return false;
  }
  return true;
}
