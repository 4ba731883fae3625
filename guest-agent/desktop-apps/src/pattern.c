#include "pattern.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

// 0xRRGGBB. Every component stays at or below 0xd0 so that the ramp (up to 31) cannot overflow it.
static const uint32_t kPalette[8] = {0xc03030, 0x30b050, 0x3050c8, 0xd0b030,
                                     0xa040b8, 0x30b0b8, 0x606060, 0xd0d0d0};

int pattern_header_height(int width) {
  int columns = width / PATTERN_BLOCK;
  return PATTERN_BLOCK * ((PATTERN_HEADER_BITS + columns - 1) / columns);
}

static void header_bytes(uint8_t bytes[13], uint32_t sequence, uint64_t realtime_us) {
  for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(sequence >> (24 - 8 * i));
  for (int i = 0; i < 8; i++) bytes[4 + i] = (uint8_t)(realtime_us >> (56 - 8 * i));
  bytes[12] = 0xa5;
  for (int i = 0; i < 12; i++) bytes[12] ^= bytes[i];
}

static void paint_header(uint8_t* pixels, int width, int rows, size_t stride,
                         const uint8_t* bytes) {
  int columns = width / PATTERN_BLOCK;
  for (int block_row = 0; block_row * PATTERN_BLOCK < rows; block_row++) {
    uint32_t* first = (uint32_t*)(pixels + (size_t)block_row * PATTERN_BLOCK * stride);
    for (int x = 0; x < width; x++) {
      int column = x / PATTERN_BLOCK;
      int bit = block_row * columns + column;
      int set = column < columns && bit < PATTERN_HEADER_BITS &&
                ((bytes[bit / 8] >> (7 - bit % 8)) & 1) != 0;
      first[x] = set ? 0xffffffffu : 0xff000000u;
    }
    for (int y = 1; y < PATTERN_BLOCK && block_row * PATTERN_BLOCK + y < rows; y++)
      memcpy((uint8_t*)first + (size_t)y * stride, first, (size_t)width * 4);
  }
}

static void paint_row(uint32_t* row, int width, int y, uint32_t sequence) {
  uint32_t ramp = (uint32_t)(y % PATTERN_CELL / 2) * 0x010101u;
  uint32_t shift = (uint32_t)PATTERN_STEP * sequence % PATTERN_PERIOD;
  uint32_t cy = (uint32_t)(y / PATTERN_CELL);
  int x = 0;
  while (x < width) {
    uint32_t position = ((uint32_t)x + shift) % PATTERN_PERIOD;
    int run = PATTERN_CELL - (int)(position % PATTERN_CELL);
    if (run > width - x) run = width - x;
    uint32_t colour = 0xff000000u | (kPalette[(position / PATTERN_CELL + 3 * cy) % 8] + ramp);
    for (int i = 0; i < run; i++) row[x + i] = colour;
    x += run;
  }
}

void pattern_paint(uint8_t* pixels, int width, int height, size_t stride, uint32_t sequence,
                   uint64_t realtime_us) {
  int header = pattern_header_height(width);
  if (header > height) header = height;
  uint8_t bytes[13];
  header_bytes(bytes, sequence, realtime_us);
  paint_header(pixels, width, header, stride, bytes);
  for (int y = header; y < height; y++)
    paint_row((uint32_t*)(pixels + (size_t)y * stride), width, y, sequence);
}

uint64_t pattern_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

int pattern_parse_size(const char* text, int* width, int* height) {
  int w = 0, h = 0;
  char rest = 0;
  if (sscanf(text, "%5dx%5d%c", &w, &h, &rest) != 2) return -1;
  if (w < PATTERN_MIN_WIDTH || h < PATTERN_MIN_WIDTH || w > PATTERN_MAX_SIDE ||
      h > PATTERN_MAX_SIDE)
    return -1;
  *width = w;
  *height = h;
  return 0;
}
