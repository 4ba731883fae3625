// SPDX-License-Identifier: Apache-2.0
#include "videotoolbox/bits.h"

bool sbm_bits_open(sbm_bit_reader* reader, const uint8_t* nal, size_t size) {
  reader->size = reader->at = 0;
  reader->failed = false;
  if (size == 0 || size > sizeof reader->bytes) return false;
  size_t to = 0;
  unsigned zeros = 0;
  for (size_t i = 0; i < size; i++) {
    if (zeros >= 2 && nal[i] == 3) {
      zeros = 0;
      continue;
    }
    zeros = nal[i] == 0 ? zeros + 1 : 0;
    reader->bytes[to++] = nal[i];
  }
  reader->size = to * 8;
  return true;
}

uint32_t sbm_bits_read(sbm_bit_reader* reader, unsigned count) {
  uint32_t value = 0;
  if (count > reader->size - reader->at) {
    reader->failed = true;
    reader->at = reader->size;
    return 0;
  }
  while (count-- > 0) {
    value = value << 1 | (reader->bytes[reader->at / 8] >> (7 - reader->at % 8) & 1u);
    reader->at++;
  }
  return value;
}

void sbm_bits_skip(sbm_bit_reader* reader, size_t count) {
  if (count > reader->size - reader->at) {
    reader->failed = true;
    count = reader->size - reader->at;
  }
  reader->at += count;
}

uint32_t sbm_bits_ue(sbm_bit_reader* reader) {
  unsigned zeros = 0;
  while (!reader->failed && sbm_bits_read(reader, 1) == 0) {
    if (++zeros > 31) reader->failed = true;
  }
  if (reader->failed) return 0;
  return ((1u << zeros) - 1) + sbm_bits_read(reader, zeros);
}

int32_t sbm_bits_se(sbm_bit_reader* reader) {
  const uint32_t value = sbm_bits_ue(reader);
  return (value & 1) != 0 ? (int32_t)(value / 2 + 1) : -(int32_t)(value / 2);
}

void sbm_bits_write(sbm_bit_writer* writer, unsigned count, uint32_t value) {
  if (writer->size + count > sizeof writer->bytes * 8) {
    writer->failed = true;
    return;
  }
  while (count-- > 0) {
    const uint8_t mask = (uint8_t)(0x80u >> writer->size % 8);
    uint8_t* const byte = &writer->bytes[writer->size / 8];
    *byte = (uint8_t)((value >> count & 1u) != 0 ? *byte | mask : *byte & ~mask);
    writer->size++;
  }
}

void sbm_bits_write_ue(sbm_bit_writer* writer, uint32_t value) {
  unsigned length = 0;
  while ((value + 1) >> length > 1) length++;
  sbm_bits_write(writer, length, 0);
  sbm_bits_write(writer, length + 1, value + 1);
}

size_t sbm_bits_close(sbm_bit_writer* writer, uint8_t* to, size_t room) {
  sbm_bits_write(writer, 1, 1);
  while (writer->size % 8 != 0) sbm_bits_write(writer, 1, 0);
  if (writer->failed) return 0;
  size_t at = 0;
  unsigned zeros = 0;
  for (size_t i = 0; i < writer->size / 8; i++) {
    if (zeros >= 2 && writer->bytes[i] <= 3) {
      if (at == room) return 0;
      to[at++] = 3;
      zeros = 0;
    }
    if (at == room) return 0;
    to[at++] = writer->bytes[i];
    zeros = writer->bytes[i] == 0 ? zeros + 1 : 0;
  }
  return at;
}
