/* SPDX-License-Identifier: Apache-2.0 */
#include "picture.h"

#include <string.h>

enum { BLOCK = 16, BITS = 32 };

void paint(uint8_t* pixels, uint32_t width, uint32_t height, uint32_t stride, uint32_t sequence) {
  const uint8_t grey = (uint8_t)(sequence * 5 % 256);
  for (uint32_t y = 0; y < height; y++) {
    uint8_t* row = pixels + (size_t)y * stride;
    memset(row, grey, (size_t)width * 4);
    for (uint32_t bit = 0; y < BLOCK && bit < BITS; bit++) {
      memset(row + bit * BLOCK * 4, sequence >> bit & 1 ? 255 : 0, BLOCK * 4);
    }
  }
}
