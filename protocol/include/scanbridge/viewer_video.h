/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later */
/* Viewer protocol: the fixed header in front of every access unit in a binary WebSocket message.
 *
 * Generated from schema/viewer-video.json by generate.mjs: do not edit.
 */
#ifndef SCANBRIDGE_SBV_H
#define SCANBRIDGE_SBV_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "this protocol is little-endian, and so must the machine be"
#endif

/* clang-format off */

/* First byte of a binary message that holds an access unit. */
#define SBV_VIDEO_MESSAGE 1u
/* No access unit is longer [bytes]. */
#define SBV_MAX_ACCESS_UNIT 16777216u

/* Properties of an access unit. */
enum sbv_video_flag {
  SBV_VIDEO_FLAG_KEY = 1, /* Decoding can start here; parameter sets are in the access unit. */
  SBV_VIDEO_FLAG_KEEPALIVE = 2, /* Nothing has changed in the picture; it was encoded anew so that a viewer can start or see that the stream lives. */
};
#define SBV_VIDEO_FLAG_ALL 3u

/* Header of a binary video message; the access unit (Annex B for H.264 and HEVC, OBUs for AV1, a frame for VP9) follows. All durations are taken on one clock of one machine. */
struct sbv_video_header {
  uint8_t message; /* VIDEO_MESSAGE. */
  uint8_t flags;
  uint16_t config; /* Id of the config message that describes this access unit. */
  uint32_t sequence; /* Counts encoded access units of the session, modulo 2^32; a gap means this viewer was moved to a key frame. */
  uint64_t pts; /* When the picture was made, on the source's clock [us]. */
  uint32_t capture; /* Stage 1: picture made until it reached the engine worker [us]. */
  uint32_t encode; /* Stage 2: reached the engine worker until the access unit came out [us]. */
  uint32_t bridge; /* Stage 3: access unit out until it was handed to the WebSocket [us]. */
  uint32_t reserved;
};
static_assert(sizeof(struct sbv_video_header) == 32, "sbv_video_header: size");
static_assert(offsetof(struct sbv_video_header, message) == 0, "sbv_video_header.message: offset");
static_assert(offsetof(struct sbv_video_header, flags) == 1, "sbv_video_header.flags: offset");
static_assert(offsetof(struct sbv_video_header, config) == 2, "sbv_video_header.config: offset");
static_assert(offsetof(struct sbv_video_header, sequence) == 4, "sbv_video_header.sequence: offset");
static_assert(offsetof(struct sbv_video_header, pts) == 8, "sbv_video_header.pts: offset");
static_assert(offsetof(struct sbv_video_header, capture) == 16, "sbv_video_header.capture: offset");
static_assert(offsetof(struct sbv_video_header, encode) == 20, "sbv_video_header.encode: offset");
static_assert(offsetof(struct sbv_video_header, bridge) == 24, "sbv_video_header.bridge: offset");
static_assert(offsetof(struct sbv_video_header, reserved) == 28, "sbv_video_header.reserved: offset");

/* clang-format on */
#endif /* SCANBRIDGE_SBV_H */
