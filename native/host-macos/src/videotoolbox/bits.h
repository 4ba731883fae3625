// SPDX-License-Identifier: Apache-2.0
// Bits of a NAL unit's payload, without its emulation prevention.
#ifndef SCANBRIDGE_MACOS_VIDEOTOOLBOX_BITS_H_
#define SCANBRIDGE_MACOS_VIDEOTOOLBOX_BITS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// No parameter set is longer; what is longer is refused [bytes].
enum { SBM_MAX_PARAMETER_SET = 1024 };

/// Reads; once past the end all is 0 and `failed` is set.
typedef struct {
  uint8_t bytes[SBM_MAX_PARAMETER_SET];
  /// [bits]
  size_t size, at;
  bool failed;
} sbm_bit_reader;

/// Copies a NAL unit without emulation prevention. False when it is empty or too long.
bool sbm_bits_open(sbm_bit_reader* reader, const uint8_t* nal, size_t size);
/// The next `count` bits, at most 32.
uint32_t sbm_bits_read(sbm_bit_reader* reader, unsigned count);
void sbm_bits_skip(sbm_bit_reader* reader, size_t count);
/// Exp-Golomb, unsigned and signed (ITU-T H.264, 9.1).
uint32_t sbm_bits_ue(sbm_bit_reader* reader);
int32_t sbm_bits_se(sbm_bit_reader* reader);

/// Writes into `bytes`, without emulation prevention; `failed` when it is full.
typedef struct {
  uint8_t bytes[SBM_MAX_PARAMETER_SET];
  /// [bits]
  size_t size;
  bool failed;
} sbm_bit_writer;

void sbm_bits_write(sbm_bit_writer* writer, unsigned count, uint32_t value);
void sbm_bits_write_ue(sbm_bit_writer* writer, uint32_t value);
/// Ends the payload and puts it, with emulation prevention, to `to`. Returns its size, or 0 when it
/// does not fit into `room` bytes.
size_t sbm_bits_close(sbm_bit_writer* writer, uint8_t* to, size_t room);

#endif
