/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake paints. */
#ifndef DMABUF_PRODUCER_PICTURE_H
#define DMABUF_PRODUCER_PICTURE_H

#include <stdint.h>

/*
 * Paints `sequence` into a BGRx picture: bit i of the number is the block at x = 16 * i, y = 0, 16
 * pixels a side, white (0xffffff) for 1 and black for 0. All other pixels have red = green = blue =
 * (sequence * 5) % 256. `stride` [bytes]; the picture is at least 512 x 16.
 */
void paint(uint8_t* pixels, uint32_t width, uint32_t height, uint32_t stride, uint32_t sequence);

#endif
