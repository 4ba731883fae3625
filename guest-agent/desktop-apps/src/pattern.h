// The test pattern: a picture that is a pure function of (x, y, sequence, time stamp).
//
// Both painters draw it, test/harness/pattern.ts computes the same values, and the benchmarks read
// sequence and time stamp back from decoded pictures. The two implementations have to agree:
//
// Header. 104 bits, most significant first: sequence (32), CLOCK_REALTIME in microseconds at the
// time of painting (64), check (8). The check is the XOR of the other twelve bytes and 0xa5. Each
// bit is a block of 16x16 pixels, white (255,255,255) for 1 and black (0,0,0) for 0. With columns =
// width / 16 (rounded down), bit i is the block in column i % columns, row i / columns. The rest of
// the header's rows is black; the header is 16 * ceil(104 / columns) pixels high.
//
// Body, below the header. Cells of 64x64 pixels on a grid that starts at the picture's origin and
// moves 4 pixels to the left per frame:
//   cx = ((x + 4 * sequence) mod 512) / 64,  cy = y / 64,  ramp = (y mod 64) / 2
//   R, G, B = palette[(cx + 3 * cy) mod 8] + ramp for each component
// so the pattern repeats after 128 frames. Sums wrap at 32 bits, divisions round down.
#ifndef SCANBRIDGE_PATTERN_H_
#define SCANBRIDGE_PATTERN_H_

#include <stddef.h>
#include <stdint.h>

enum {
  PATTERN_BLOCK = 16,         // pixels, side of one header bit
  PATTERN_HEADER_BITS = 104,  // sequence, time stamp, check
  PATTERN_CELL = 64,          // pixels, side of one cell of the body
  PATTERN_STEP = 4,           // pixels per frame
  PATTERN_PERIOD = 8 * 64,    // pixels after which a row repeats
  PATTERN_MIN_WIDTH = 64,     // pixels: four header blocks a row
  PATTERN_MAX_SIDE = 8192,    // pixels, either side
};

// Height of the header in pixels for a picture `width` pixels wide (at least PATTERN_MIN_WIDTH).
int pattern_header_height(int width);

// Paints the picture into `pixels`: rows of 32-bit B, G, R, 255 (BGRx in memory, wl_shm XRGB8888,
// native order of a little-endian machine), `stride` bytes apart, `height` rows.
void pattern_paint(uint8_t* pixels, int width, int height, size_t stride, uint32_t sequence,
                   uint64_t realtime_us);

// CLOCK_REALTIME in microseconds.
uint64_t pattern_now_us(void);

// Parses "WIDTHxHEIGHT" in pixels. Returns 0, or -1 when the text is not of that form or a side is
// outside PATTERN_MIN_WIDTH..PATTERN_MAX_SIDE.
int pattern_parse_size(const char* text, int* width, int* height);

#endif  // SCANBRIDGE_PATTERN_H_
