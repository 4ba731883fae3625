// State of the scene, the picture behind the windows of the embedded desktop: a clock with orbiting
// lights, waves, ripples where one clicks and the text one types.
#ifndef SCANBRIDGE_SCENE_H_
#define SCANBRIDGE_SCENE_H_

#include <cairo.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <wayland-client.h>
#include <xkbcommon/xkbcommon.h>

#include "window.h"

enum { SCENE_RIPPLES = 8, SCENE_TEXT = 64 };

struct ripple {
  double x, y;        // pixels
  uint64_t start_ns;  // 0: unused
  int hue;            // index into the ripples' colours
};

// Where things are; computed once per size.
struct scene_layout {
  int width, height;
  double unit;  // one hundredth of the shorter side
  double dial_x, dial_y, dial_radius;
  struct window_rect dial, clock, text, wave;
};

struct scene_input {
  struct wl_pointer* pointer;
  struct wl_keyboard* keyboard;
  struct xkb_context* xkb;
  struct xkb_keymap* keymap;
  struct xkb_state* xkb_state;
  double x, y;  // pointer, pixels
  bool inside;  // the pointer is over the scene
  int clicks;
  char text[SCENE_TEXT];  // UTF-8
  uint32_t text_version;  // changes with `text`
  struct ripple ripples[SCENE_RIPPLES];
};

struct scene {
  struct window* window;
  struct scene_layout layout;
  struct scene_input input;
  cairo_surface_t* background;
  // Per buffer, what in it is older than the newest frame.
  cairo_region_t* stale[WINDOW_BUFFERS];
  cairo_region_t* moving;  // what the previous frame's ripples and pointer glow covered
  time_t shown_second;
  uint32_t shown_text;
  uint64_t start_ns;
};

// Pixels that a ripple covers `now`, or an empty rectangle once it has ended.
struct window_rect scene_ripple_rect(const struct scene* scene, const struct ripple* ripple,
                                     uint64_t now);
// Pixels that the pointer's glow covers.
struct window_rect scene_glow_rect(const struct scene* scene);

void scene_layout_for(struct scene_layout* layout, int width, int height);
cairo_surface_t* scene_paint_background(const struct scene_layout* layout);
// Paints everything that lies within the clip of `cr` as it is at `now` (CLOCK_MONOTONIC, ns).
void scene_paint(const struct scene* scene, cairo_t* cr, uint64_t now);

// Listens to the seat's pointer and keyboard.
void scene_input_seat(void* data, struct wl_seat* seat);
void scene_input_destroy(struct scene_input* input);

#endif  // SCANBRIDGE_SCENE_H_
