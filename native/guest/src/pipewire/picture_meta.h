// SPDX-License-Identifier: Apache-2.0
// What a PipeWire buffer says about its picture, read from memory that another process can write.
#ifndef SCANBRIDGE_GUEST_PIPEWIRE_PICTURE_META_H_
#define SCANBRIDGE_GUEST_PIPEWIRE_PICTURE_META_H_

#include <scanbridge/surface.h>
#include <spa/buffer/buffer.h>

#include <cstdint>
#include <optional>

#include "server/cursor.h"
#include "server/damage.h"

namespace scanbridge::guest {

/// Whether the buffer holds a picture; Mutter sends others that only move the cursor.
bool HasPicture(const spa_buffer& buffer);

/// When the picture was made, in CLOCK_MONOTONIC [ns]; `now` when the buffer does not say, or tells
/// the time of another clock.
uint64_t ReadPts(const spa_buffer& buffer, uint64_t now);

/// The part of a `width` x `height` surface that is shown; nothing when it does not lie within.
std::optional<sb_rect> ReadCrop(const spa_buffer& buffer, uint32_t width, uint32_t height);

/// Adds what changed since the producer's last picture; all of it when the buffer does not say.
void ReadDamage(const spa_buffer& buffer, const sb_rect& crop, Damage& damage);

/// Updates the cursor; false when nothing about it has changed. `crop`: the position is made
/// relative to it.
bool ReadCursor(const spa_buffer& buffer, const sb_rect& crop, Cursor& cursor);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_PIPEWIRE_PICTURE_META_H_
