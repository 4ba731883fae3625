// painter: a fullscreen Wayland window that shows the numbered test pattern (pattern.h), one number
// per frame that the compositor asks for. Prints "painted N" when it ends.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"
#include "window.h"

struct painter {
  struct window* window;
  uint32_t sequence;  // of the next picture
  uint32_t painted;
  uint64_t still_time;  // stamp of the still picture, 0 until it is painted
  bool still;
  bool repaint;  // a still picture is due: first one, or new size
};

static void resized(void* data, int width, int height) {
  struct painter* painter = data;
  (void)width;
  (void)height;
  painter->repaint = true;
}

static int paint(void* data, struct window_buffer* buffer, struct window_rect* damage,
                 int capacity) {
  struct painter* painter = data;
  (void)capacity;
  if (painter->still && !painter->repaint) return 0;
  painter->repaint = false;
  int width = window_width(painter->window);
  int height = window_height(painter->window);
  uint64_t stamp = painter->still_time != 0 ? painter->still_time : pattern_now_us();
  if (painter->still) painter->still_time = stamp;
  pattern_paint(buffer->pixels, width, height, (size_t)width * 4, painter->sequence, stamp);
  if (!painter->still) painter->sequence++;
  painter->painted++;
  damage[0] = (struct window_rect){0, 0, width, height};
  return 1;
}

static void usage(FILE* to) {
  fputs(
      "usage: painter [--size WxH] [--fps N] [--still]\n"
      "A Wayland client that shows the numbered test pattern, fullscreen.\n"
      "  --size WxH  a window of that many pixels instead of fullscreen\n"
      "  --fps N     at most N frames per second, 1 to 1000 (as many as the compositor asks for)\n"
      "  --still     one picture only\n",
      to);
}

int main(int argc, char** argv) {
  static const struct option kOptions[] = {{"size", required_argument, NULL, 's'},
                                           {"fps", required_argument, NULL, 'f'},
                                           {"still", no_argument, NULL, 'S'},
                                           {"help", no_argument, NULL, 'h'},
                                           {NULL, 0, NULL, 0}};
  struct painter painter = {0};
  struct window_options options = {.title = "Test pattern",
                                   .app_id = "scanbridge-painter",
                                   .state = WINDOW_FULLSCREEN,
                                   .width = 1280,
                                   .height = 720,
                                   .data = &painter,
                                   .resized = resized,
                                   .paint = paint};
  for (int option; (option = getopt_long(argc, argv, "", kOptions, NULL)) != -1;) {
    bool valid = true;
    if (option == 's') {
      valid = pattern_parse_size(optarg, &options.width, &options.height) == 0;
      options.state = WINDOW_NORMAL;
    }
    if (option == 'f') valid = (options.fps = atoi(optarg)) >= 1 && options.fps <= 1000;
    if (option == 'S') painter.still = true;
    if (option == 'h' || option == '?' || !valid) {
      usage(option == 'h' ? stdout : stderr);
      return option == 'h' ? 0 : 2;
    }
  }
  painter.window = window_open(&options);
  if (painter.window == NULL) return 1;
  int status = window_run(painter.window);
  printf("painted %u\n", painter.painted);
  window_destroy(painter.window);
  return status;
}
