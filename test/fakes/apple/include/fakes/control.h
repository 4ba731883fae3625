// SPDX-License-Identifier: Apache-2.0
// What a test tells the fakes, and what it asks them afterwards. No part of any Apple interface.
#ifndef SCANBRIDGE_FAKES_CONTROL_H_
#define SCANBRIDGE_FAKES_CONTROL_H_

#include <IOSurface/IOSurface.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// How the fake encoder behaves from now on. All zero: it works, on a thread of its own.
typedef struct {
  /// Result of the next creations of a session; with `creations` 0 of all of them.
  int32_t create_status;
  unsigned creations;
  /// Creation with low-latency rate control fails: an older system.
  bool no_low_latency;
  /// EncodeFrame returns this, and no call-back comes.
  int32_t encode_status;
  /// The call-back says this and has no sample.
  int32_t output_status;
  /// This many frames from now on are dropped: a call-back without a sample, with FrameDropped.
  unsigned drop_frames;
  /// Frames are taken and no call-back ever comes: the service hangs.
  bool swallow;
  /// EncodeFrame does not return until fake_release_encode().
  bool hold_encode;
  /// Call-backs wait until fake_release_outputs(), and then come however late.
  bool hold_outputs;
  /// Call-backs of an invalidated session come all the same.
  bool late_outputs;
  /// Each call-back comes twice.
  bool repeat_outputs;
  /// Properties are refused: kVTPropertyNotSupportedErr.
  bool no_properties;
  /// Key frames are not forced but come when the encoder likes.
  bool ignore_key_requests;
  /// Block buffers consist of pieces of at most this size; 0: of one piece [bytes].
  size_t split;
  /// Size of the lengths in front of NAL units; 0: 4.
  int nal_header;
  /// The sequence parameter set has no VUI.
  bool no_vui;
  /// The sequence parameter set allows pictures to be reordered by this many.
  unsigned reorder;
  /// What comes out is damaged: a NAL unit's length exceeds the block.
  bool bad_lengths;
  /// The format description has no parameter sets.
  bool no_parameters;
} fake_encoder;

void fake_set_encoder(const fake_encoder* behaviour);
/// Calls that were made since fake_reset().
typedef struct {
  unsigned creates, invalidates, encodes, forced_keys, low_latency, outputs;
  int64_t last_bitrate;
  int64_t last_pts;
  /// CRC-like sum of the pixels that were encoded last.
  uint64_t last_pixels;
  /// EncodeFrame ran on this thread: an opaque number.
  uint64_t encode_thread;
} fake_calls;
fake_calls fake_get_calls(void);
void fake_release_encode(void);
void fake_release_outputs(void);
/// Waits until no call-back is under way or held back.
void fake_settle(void);

/// Fails the next creation of an IOSurface, or of a pixel buffer for one.
void fake_fail_iosurface(unsigned times);
void fake_fail_pixel_buffer(unsigned times);
/// A surface as another process would have made it. The caller releases it.
IOSurfaceRef fake_iosurface(uint32_t width, uint32_t height, uint32_t format);
/// Makes a surface say that its rows, or its memory, are smaller than they must be.
void fake_iosurface_lie(IOSurfaceRef surface, size_t bytes_per_row, size_t alloc_size);
int fake_iosurface_use_count(IOSurfaceRef surface);
int fake_iosurface_lock_count(IOSurfaceRef surface);

/// Objects that exist and were not released, locks and use counts included.
size_t fake_live_objects(void);
/// Prints them to standard error.
void fake_print_live(void);
/// Forgets behaviour and calls; objects stay.
void fake_reset(void);

#endif
