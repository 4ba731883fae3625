#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scene.h"

struct colour {
  double r, g, b;
};

static const struct colour kAccents[] = {
    {0.45, 0.66, 1.00}, {0.31, 0.85, 0.70}, {0.85, 0.55, 0.95}, {1.00, 0.72, 0.40}};
enum { ACCENTS = sizeof(kAccents) / sizeof(kAccents[0]) };

static void set_colour(cairo_t* cr, struct colour c, double alpha) {
  cairo_set_source_rgba(cr, c.r, c.g, c.b, alpha);
}

void scene_layout_for(struct scene_layout* layout, int width, int height) {
  double unit = (width < height ? width : height) / 100.0;
  layout->width = width;
  layout->height = height;
  layout->unit = unit;
  layout->dial_radius = 21 * unit;
  layout->dial_x = width > height ? width * 0.71 : width * 0.5;
  layout->dial_y = height * 0.40;
  int reach = (int)(layout->dial_radius + 5 * unit);
  layout->dial = (struct window_rect){(int)layout->dial_x - reach, (int)layout->dial_y - reach,
                                      2 * reach, 2 * reach};
  layout->clock = layout->dial;
  int text_width = (int)(74 * unit);
  layout->text =
      (struct window_rect){(int)layout->dial_x - text_width / 2, (int)(layout->dial_y + 31 * unit),
                           text_width, (int)(6 * unit)};
  int wave_height = (int)(15 * unit);
  layout->wave = (struct window_rect){0, height - wave_height, width, wave_height};
}

static void centred_text(cairo_t* cr, double x, double y, double size, bool bold,
                         const char* text) {
  cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, size);
  cairo_text_extents_t extents;
  cairo_text_extents(cr, text, &extents);
  cairo_move_to(cr, x - extents.width / 2 - extents.x_bearing, y);
  cairo_show_text(cr, text);
}

static void paint_stars(cairo_t* cr, const struct scene_layout* layout) {
  uint32_t random = 20240607;  // always the same sky
  for (int i = 0; i < 130; i++) {
    random = random * 1664525u + 1013904223u;
    double x = (random >> 16) / 65536.0 * layout->width;
    random = random * 1664525u + 1013904223u;
    double y = (random >> 16) / 65536.0 * layout->height * 0.85;
    double size = 0.5 + (random % 7) * 0.15;
    cairo_set_source_rgba(cr, 0.8, 0.86, 1, 0.12 + (random % 11) * 0.03);
    cairo_arc(cr, x, y, size, 0, 2 * M_PI);
    cairo_fill(cr);
  }
}

static void paint_dial_face(cairo_t* cr, const struct scene_layout* layout) {
  double r = layout->dial_radius;
  cairo_pattern_t* glow = cairo_pattern_create_radial(layout->dial_x, layout->dial_y, 0,
                                                      layout->dial_x, layout->dial_y, r * 2.4);
  cairo_pattern_add_color_stop_rgba(glow, 0, 0.35, 0.40, 0.95, 0.30);
  cairo_pattern_add_color_stop_rgba(glow, 1, 0.35, 0.40, 0.95, 0);
  cairo_set_source(cr, glow);
  cairo_paint(cr);
  cairo_pattern_destroy(glow);
  for (int i = 0; i < 60; i++) {
    double angle = i * M_PI / 30;
    double inner = i % 5 == 0 ? r * 0.93 : r * 0.965;
    cairo_set_source_rgba(cr, 0.8, 0.86, 1, i % 5 == 0 ? 0.55 : 0.22);
    cairo_set_line_width(cr, layout->unit * (i % 5 == 0 ? 0.4 : 0.25));
    cairo_move_to(cr, layout->dial_x + inner * cos(angle), layout->dial_y + inner * sin(angle));
    cairo_line_to(cr, layout->dial_x + r * cos(angle), layout->dial_y + r * sin(angle));
    cairo_stroke(cr);
  }
}

cairo_surface_t* scene_paint_background(const struct scene_layout* layout) {
  cairo_surface_t* surface =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, layout->width, layout->height);
  cairo_t* cr = cairo_create(surface);
  cairo_pattern_t* sky = cairo_pattern_create_linear(0, 0, layout->width * 0.2, layout->height);
  cairo_pattern_add_color_stop_rgb(sky, 0, 0.035, 0.047, 0.125);
  cairo_pattern_add_color_stop_rgb(sky, 0.6, 0.075, 0.085, 0.235);
  cairo_pattern_add_color_stop_rgb(sky, 1, 0.15, 0.10, 0.30);
  cairo_set_source(cr, sky);
  cairo_paint(cr);
  cairo_pattern_destroy(sky);
  paint_stars(cr, layout);
  paint_dial_face(cr, layout);
  cairo_set_source_rgba(cr, 0.8, 0.86, 1, 0.55);
  centred_text(cr, layout->dial_x, layout->dial_y + 29.5 * layout->unit, layout->unit * 2.4, false,
               "A live desktop. Click, move, type.");
  cairo_destroy(cr);
  return surface;
}

// Three lights that circle the dial, each with a tail.
static void paint_orbits(const struct scene* scene, cairo_t* cr, double seconds) {
  const struct scene_layout* layout = &scene->layout;
  enum { TAIL = 18 };
  cairo_new_path(cr);
  for (int light = 0; light < 3; light++) {
    double radius = layout->dial_radius + layout->unit * (1.6 + light * 1.3);
    double angle = seconds * (0.9 - light * 0.22) + light * 2.1;
    for (int i = TAIL; i >= 0; i--) {
      double share = 1.0 - (double)i / TAIL;
      double at = angle - i * 0.045;
      set_colour(cr, kAccents[light], i == 0 ? 1 : 0.45 * share * share);
      cairo_arc(cr, layout->dial_x + radius * cos(at), layout->dial_y + radius * sin(at),
                layout->unit * (i == 0 ? 0.75 : 0.2 + 0.4 * share), 0, 2 * M_PI);
      cairo_fill(cr);
    }
  }
}

static void paint_clock(const struct scene* scene, cairo_t* cr) {
  const struct scene_layout* layout = &scene->layout;
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  struct tm local;
  localtime_r(&wall.tv_sec, &local);
  char text[64];
  strftime(text, sizeof(text), "%H:%M", &local);
  cairo_set_source_rgba(cr, 0.95, 0.97, 1, 1);
  centred_text(cr, layout->dial_x, layout->dial_y + 2.6 * layout->unit, layout->unit * 11, false,
               text);
  strftime(text, sizeof(text), "%A, %d %B", &local);
  cairo_set_source_rgba(cr, 0.8, 0.86, 1, 0.7);
  centred_text(cr, layout->dial_x, layout->dial_y + 8 * layout->unit, layout->unit * 2.6, false,
               text);
  // The second hand is an arc along the ticks.
  double seconds = (double)local.tm_sec + (double)wall.tv_nsec / 1e9;
  double end = -M_PI / 2 + seconds / 60 * 2 * M_PI;
  set_colour(cr, kAccents[0], 0.85);
  cairo_set_line_width(cr, layout->unit * 0.55);
  cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
  cairo_new_path(cr);  // show_text leaves a current point behind
  cairo_arc(cr, layout->dial_x, layout->dial_y, layout->dial_radius * 0.88, -M_PI / 2, end);
  cairo_stroke(cr);
}

static void paint_text(const struct scene* scene, cairo_t* cr) {
  const struct scene_layout* layout = &scene->layout;
  if (scene->input.text[0] == 0) return;
  set_colour(cr, kAccents[1], 1);
  centred_text(cr, layout->dial_x, layout->text.y + 4 * layout->unit, layout->unit * 3.6, true,
               scene->input.text);
}

static void paint_wave(const struct scene* scene, cairo_t* cr, double seconds) {
  const struct scene_layout* layout = &scene->layout;
  double height = layout->wave.height;
  cairo_save(cr);
  cairo_rectangle(cr, layout->wave.x, layout->wave.y, layout->wave.width, height);
  cairo_clip(cr);
  // Edges of smooth shapes are the costly part: a coarse step and no antialiasing of what is faint.
  cairo_set_antialias(cr, CAIRO_ANTIALIAS_FAST);
  double step = layout->unit * 2.2;
  for (int layer = 0; layer < 3; layer++) {
    double base = layout->height - height * (0.56 - layer * 0.17);
    double swing = height * (0.24 - layer * 0.05);
    cairo_move_to(cr, 0, layout->height);
    for (double x = 0; x < layout->width + step; x += step) {
      double phase = x / layout->width * (5 + layer * 2) + seconds * (0.5 + layer * 0.22);
      cairo_line_to(cr, x, base + swing * sin(phase) * cos(phase * 0.37 + layer));
    }
    cairo_line_to(cr, layout->width, layout->height);
    cairo_close_path(cr);
    set_colour(cr, kAccents[(layer + 2) % ACCENTS], 0.16);
    cairo_fill(cr);
  }
  cairo_restore(cr);
}

static void paint_ripples(const struct scene* scene, cairo_t* cr, uint64_t now) {
  for (int i = 0; i < SCENE_RIPPLES; i++) {
    const struct ripple* ripple = &scene->input.ripples[i];
    struct window_rect rect = scene_ripple_rect(scene, ripple, now);
    if (rect.width == 0) continue;
    double age = (double)(now - ripple->start_ns) / 0.9e9;
    for (int ring = 0; ring < 2; ring++) {
      double radius = scene->layout.unit * (1 + (ring == 0 ? 12 : 7) * (1 - (1 - age) * (1 - age)));
      set_colour(cr, kAccents[ripple->hue % ACCENTS], 0.9 * (1 - age));
      cairo_set_line_width(cr, scene->layout.unit * 0.5);
      cairo_new_path(cr);
      cairo_arc(cr, ripple->x, ripple->y, radius, 0, 2 * M_PI);
      cairo_stroke(cr);
    }
  }
}

static void paint_glow(const struct scene* scene, cairo_t* cr) {
  if (!scene->input.inside) return;
  double reach = scene->layout.unit * 4;
  cairo_pattern_t* glow = cairo_pattern_create_radial(scene->input.x, scene->input.y, 0,
                                                      scene->input.x, scene->input.y, reach);
  cairo_pattern_add_color_stop_rgba(glow, 0, 0.75, 0.85, 1, 0.35);
  cairo_pattern_add_color_stop_rgba(glow, 1, 0.75, 0.85, 1, 0);
  cairo_set_source(cr, glow);
  cairo_new_path(cr);
  cairo_arc(cr, scene->input.x, scene->input.y, reach, 0, 2 * M_PI);
  cairo_fill(cr);
  cairo_pattern_destroy(glow);
}

void scene_paint(const struct scene* scene, cairo_t* cr, uint64_t now) {
  double seconds = (double)(now - scene->start_ns) / 1e9;
  cairo_set_operator(cr, CAIRO_OPERATOR_SOURCE);
  cairo_set_source_surface(cr, scene->background, 0, 0);
  cairo_paint(cr);
  cairo_set_operator(cr, CAIRO_OPERATOR_OVER);
  paint_wave(scene, cr, seconds);
  paint_clock(scene, cr);
  paint_orbits(scene, cr, seconds);
  paint_text(scene, cr);
  paint_ripples(scene, cr, now);
  paint_glow(scene, cr);
}
