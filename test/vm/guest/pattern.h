/*
 * The pictures that kms-paint shows. Every pixel is a function of the head (or resource), its place
 * and the sequence number, so that ../pattern.ts can tell each single wrong one.
 *
 * Background: red is x modulo 256, green is y modulo 256, blue tells the painter's number, 0 to 15,
 * and the 256-pixel tile. A wrong stride, offset, crop, channel order or head shows.
 *
 * Mark: blocks of MARK_BLOCK x MARK_BLOCK pixels from the upper left corner on, MARK_COLUMNS a row,
 * white for 1 and black for 0, most significant bit first: 8 bits MARK_MAGIC, 8 bits painter, 32
 * bits sequence, 48 bits microseconds of the guest's monotonic clock, 8 bits sum (modulo 256) of
 * the bytes before. Blocks survive a lossy codec.
 */
#ifndef SCANBRIDGE_TEST_VM_PATTERN_H
#define SCANBRIDGE_TEST_VM_PATTERN_H

#include <stdint.h>

#define MARK_BLOCK 16u
#define MARK_COLUMNS 26u
#define MARK_ROWS 4u
#define MARK_WIDTH (MARK_BLOCK * MARK_COLUMNS)
#define MARK_HEIGHT (MARK_BLOCK * MARK_ROWS)
#define MARK_MAGIC 0xa5u
#define MARK_BYTES 13u

/* Alpha of every pixel; also in formats that ignore it, to show that they do. */
#define PATTERN_ALPHA 0xc3u

/* Memory that holds 32-bit pixels. */
struct canvas {
  uint8_t* pixels;
  uint32_t width, height;   /* pixels */
  uint32_t stride;          /* bytes */
  uint8_t red, green, blue; /* place of the channel's byte in a pixel; the fourth is alpha */
};

static inline void put_pixel(const struct canvas* c, uint32_t x, uint32_t y, uint8_t red,
                             uint8_t green, uint8_t blue) {
  uint8_t* pixel = c->pixels + (uint64_t)y * c->stride + 4 * (uint64_t)x;

  pixel[0] = pixel[1] = pixel[2] = pixel[3] = PATTERN_ALPHA;
  pixel[c->red] = red;
  pixel[c->green] = green;
  pixel[c->blue] = blue;
}

static inline void paint_background(const struct canvas* c, uint8_t painter) {
  for (uint32_t y = 0; y < c->height; y++) {
    for (uint32_t x = 0; x < c->width; x++) {
      uint8_t blue = (uint8_t)(painter * 16u + ((x >> 8) + 4 * (y >> 8)) % 16u);
      put_pixel(c, x, y, (uint8_t)x, (uint8_t)y, blue);
    }
  }
}

/* Paints the mark with its upper left corner at (left, top); the caller checks that it fits. */
static inline void paint_mark(const struct canvas* c, uint32_t left, uint32_t top, uint8_t painter,
                              uint32_t sequence, uint64_t microseconds) {
  uint8_t bytes[MARK_BYTES] = {MARK_MAGIC, painter};
  uint8_t sum = 0;

  for (uint32_t i = 0; i < 4; i++) {
    bytes[2 + i] = (uint8_t)(sequence >> (24 - 8 * i));
  }
  for (uint32_t i = 0; i < 6; i++) {
    bytes[6 + i] = (uint8_t)(microseconds >> (40 - 8 * i));
  }
  for (uint32_t i = 0; i < MARK_BYTES - 1; i++) {
    sum = (uint8_t)(sum + bytes[i]);
  }
  bytes[MARK_BYTES - 1] = sum;
  for (uint32_t y = 0; y < MARK_HEIGHT; y++) {
    for (uint32_t x = 0; x < MARK_WIDTH; x++) {
      uint32_t bit = y / MARK_BLOCK * MARK_COLUMNS + x / MARK_BLOCK;
      uint8_t luma = bytes[bit / 8] >> (7 - bit % 8) & 1 ? 255 : 0;
      put_pixel(c, left + x, top + y, luma, luma, luma);
    }
  }
}

#endif
