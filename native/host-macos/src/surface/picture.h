// SPDX-License-Identifier: Apache-2.0
// An IOSurface that can be encoded.
//
// Ownership: a picture owns one reference to its IOSurface and one to the pixel buffer that was
// made of it, and gives both back with its own last reference. Who shows or encodes a picture also
// *holds* it: that raises the IOSurface's use count, by which the producer, another process, knows
// that it must not draw into it. A hold contains a reference.
#ifndef SCANBRIDGE_MACOS_SURFACE_PICTURE_H_
#define SCANBRIDGE_MACOS_SURFACE_PICTURE_H_

#include <CoreVideo/CoreVideo.h>
#include <scanbridge/surface.h>
#include <stdbool.h>

#include "core/error.h"

typedef struct sbm_picture sbm_picture;

/// Finds the IOSurface of a SURFACE message and compares it with what the message says. NULL and
/// `error` when there is none, or it lies. The caller unrefs.
sbm_picture* sbm_picture_lookup(const struct sb_surface* message, sbm_error* error);
/// A picture of our own, black. The caller unrefs.
sbm_picture* sbm_picture_create(uint32_t width, uint32_t height, sbm_error* error);
sbm_picture* sbm_picture_ref(sbm_picture* picture);
/// NULL is allowed. Any thread.
void sbm_picture_unref(sbm_picture* picture);

sbm_picture* sbm_picture_hold(sbm_picture* picture);
/// NULL is allowed. Any thread.
void sbm_picture_release(sbm_picture* picture);
/// Somebody, of this process or another one, holds it.
bool sbm_picture_in_use(const sbm_picture* picture);

uint32_t sbm_picture_width(const sbm_picture* picture);
uint32_t sbm_picture_height(const sbm_picture* picture);
bool sbm_picture_y_inverted(const sbm_picture* picture);
/// Belongs to the picture.
CVPixelBufferRef sbm_picture_buffer(const sbm_picture* picture);

/// Copies `crop`, which lies within `from`, to the upper left corner of `to`, upright, and repeats
/// its edges to the right and downwards. False when the memory cannot be read or written.
bool sbm_picture_copy(sbm_picture* to, sbm_picture* from, const struct sb_rect* crop);

/// Calls `paint` with the pixels of a picture of our own. False when they cannot be locked.
bool sbm_picture_paint(sbm_picture* picture,
                       void (*paint)(void* context, uint8_t* pixels, size_t stride), void* context);

/// Copies `crop`, upright, without gaps between rows, to memory of width * height * 4 bytes.
bool sbm_picture_read(sbm_picture* picture, const struct sb_rect* crop, uint8_t* to);

#endif
