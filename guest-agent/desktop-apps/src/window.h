// One xdg-shell window whose pictures are painted by the CPU into shared memory (wl_shm), and the
// loop around it. Nothing here needs a GPU.
#ifndef SCANBRIDGE_WINDOW_H_
#define SCANBRIDGE_WINDOW_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wayland-client.h>

enum { WINDOW_BUFFERS = 3 };

enum window_state { WINDOW_NORMAL, WINDOW_MAXIMIZED, WINDOW_FULLSCREEN };

struct window_rect {
  int x, y, width, height;  // pixels
};

struct window_buffer {
  struct wl_buffer* handle;
  uint8_t* pixels;  // XRGB8888, rows of width * 4 bytes
  bool busy;        // the compositor may still read it
};

struct window_options {
  const char* title;
  const char* app_id;
  enum window_state state;
  int width, height;  // pixels, used unless the compositor says otherwise
  // Upper limit of frames per second; 0: as often as the compositor asks for one.
  int fps;
  void* data;
  // New buffers of this size: everything has to be painted again. Optional.
  void (*resized)(void* data, int width, int height);
  // Paints the next frame into `buffer`, fills up to `capacity` damaged rectangles (relative to the
  // previous frame) and returns their number; 0 skips this frame.
  int (*paint)(void* data, struct window_buffer* buffer, struct window_rect* damage, int capacity);
  // A seat with input, for the owner to add its listeners to. Optional.
  void (*seat)(void* data, struct wl_seat* seat);
};

struct window;

// Connects to the compositor and creates the window. NULL on failure, after a message to stderr.
struct window* window_open(const struct window_options* options);

// Index of a buffer, 0..WINDOW_BUFFERS-1, for state kept per buffer.
int window_buffer_index(const struct window* window, const struct window_buffer* buffer);

int window_width(const struct window* window);
int window_height(const struct window* window);

// Runs until the window is closed or SIGINT/SIGTERM comes. Prints "shown WxH" to stdout once the
// compositor has shown the first picture. Returns 0, or 1 after an error.
int window_run(struct window* window);

void window_destroy(struct window* window);

// CLOCK_MONOTONIC in nanoseconds.
uint64_t window_now_ns(void);

#endif  // SCANBRIDGE_WINDOW_H_
