// scene: see scene.h. Each frame repaints only what moved: the dial, the waves, and what the
// pointer and the ripples cover.
#include "scene.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static const uint64_t kRippleNs = 900000000;

struct window_rect scene_ripple_rect(const struct scene* scene, const struct ripple* ripple,
                                     uint64_t now) {
  if (ripple->start_ns == 0 || now - ripple->start_ns > kRippleNs) return (struct window_rect){0};
  int reach = (int)(scene->layout.unit * 14);
  return (struct window_rect){(int)ripple->x - reach, (int)ripple->y - reach, 2 * reach, 2 * reach};
}

struct window_rect scene_glow_rect(const struct scene* scene) {
  if (!scene->input.inside) return (struct window_rect){0};
  int reach = (int)(scene->layout.unit * 4) + 2;
  return (struct window_rect){(int)scene->input.x - reach, (int)scene->input.y - reach, 2 * reach,
                              2 * reach};
}

static void add_rect(cairo_region_t* region, struct window_rect rect) {
  if (rect.width == 0) return;
  cairo_rectangle_int_t area = {rect.x, rect.y, rect.width, rect.height};
  cairo_region_union_rectangle(region, &area);
}

static void add_whole(const struct scene* scene, cairo_region_t* region) {
  add_rect(region, (struct window_rect){0, 0, scene->layout.width, scene->layout.height});
}

// What differs from the previous frame. Remembers what this frame shows.
static cairo_region_t* damage_since_last(struct scene* scene, uint64_t now) {
  cairo_region_t* damage = scene->moving;  // where things were has to be painted over
  cairo_region_t* moving = cairo_region_create();
  add_rect(moving, scene_glow_rect(scene));
  for (int i = 0; i < SCENE_RIPPLES; i++)
    add_rect(moving, scene_ripple_rect(scene, &scene->input.ripples[i], now));
  scene->moving = moving;
  cairo_region_union(damage, moving);
  add_rect(damage, scene->layout.dial);
  add_rect(damage, scene->layout.wave);
  time_t second = time(NULL);
  if (second != scene->shown_second) add_rect(damage, scene->layout.clock);
  if (scene->input.text_version != scene->shown_text) add_rect(damage, scene->layout.text);
  scene->shown_second = second;
  scene->shown_text = scene->input.text_version;
  cairo_rectangle_int_t whole = {0, 0, scene->layout.width, scene->layout.height};
  cairo_region_intersect_rectangle(damage, &whole);
  return damage;
}

static int list_rects(const struct scene* scene, const cairo_region_t* region,
                      struct window_rect* rects, int capacity) {
  int count = cairo_region_num_rectangles(region);
  if (count > capacity) {
    rects[0] = (struct window_rect){0, 0, scene->layout.width, scene->layout.height};
    return 1;
  }
  for (int i = 0; i < count; i++) {
    cairo_rectangle_int_t area;
    cairo_region_get_rectangle(region, i, &area);
    rects[i] = (struct window_rect){area.x, area.y, area.width, area.height};
  }
  return count;
}

static void clip_to(cairo_t* cr, const cairo_region_t* region) {
  for (int i = 0; i < cairo_region_num_rectangles(region); i++) {
    cairo_rectangle_int_t area;
    cairo_region_get_rectangle(region, i, &area);
    cairo_rectangle(cr, area.x, area.y, area.width, area.height);
  }
  cairo_clip(cr);
}

static int paint(void* data, struct window_buffer* buffer, struct window_rect* rects,
                 int capacity) {
  struct scene* scene = data;
  uint64_t now = window_now_ns();
  cairo_region_t* damage = damage_since_last(scene, now);
  for (int i = 0; i < WINDOW_BUFFERS; i++) cairo_region_union(scene->stale[i], damage);

  int index = window_buffer_index(scene->window, buffer);
  cairo_surface_t* surface =
      cairo_image_surface_create_for_data(buffer->pixels, CAIRO_FORMAT_RGB24, scene->layout.width,
                                          scene->layout.height, scene->layout.width * 4);
  cairo_t* cr = cairo_create(surface);
  clip_to(cr, scene->stale[index]);
  scene_paint(scene, cr, now);
  cairo_destroy(cr);
  cairo_surface_destroy(surface);

  int count = list_rects(scene, damage, rects, capacity);
  cairo_region_destroy(damage);
  cairo_region_destroy(scene->stale[index]);
  scene->stale[index] = cairo_region_create();
  return count;
}

static void resized(void* data, int width, int height) {
  struct scene* scene = data;
  scene_layout_for(&scene->layout, width, height);
  if (scene->background != NULL) cairo_surface_destroy(scene->background);
  scene->background = scene_paint_background(&scene->layout);
  for (int i = 0; i < WINDOW_BUFFERS; i++) add_whole(scene, scene->stale[i]);
  add_whole(scene, scene->moving);
}

static int run(struct scene* scene) {
  struct window_options options = {.title = "Scanbridge",
                                   .app_id = "scanbridge-scene",
                                   .state = WINDOW_MAXIMIZED,
                                   .width = 1280,
                                   .height = 720,
                                   .fps = 60,
                                   .data = scene,
                                   .resized = resized,
                                   .paint = paint,
                                   .seat = scene_input_seat};
  scene->window = window_open(&options);
  if (scene->window == NULL) return 1;
  int status = window_run(scene->window);
  scene_input_destroy(&scene->input);
  window_destroy(scene->window);
  return status;
}

int main(void) {
  struct scene scene = {.start_ns = window_now_ns(), .moving = cairo_region_create()};
  for (int i = 0; i < WINDOW_BUFFERS; i++) scene.stale[i] = cairo_region_create();
  int status = run(&scene);
  for (int i = 0; i < WINDOW_BUFFERS; i++) cairo_region_destroy(scene.stale[i]);
  cairo_region_destroy(scene.moving);
  if (scene.background != NULL) cairo_surface_destroy(scene.background);
  return status;
}
