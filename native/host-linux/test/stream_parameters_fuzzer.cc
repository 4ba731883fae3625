// SPDX-License-Identifier: Apache-2.0
// Whatever an encoder, or the driver behind it, calls a key frame is read or refused. The first
// byte says which codec it is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "encode/h264_sps.h"
#include "encode/stream_parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace scanbridge::host;
  if (size == 0) return 0;
  const auto codec = static_cast<Codec>(data[0] % 4);
  const auto read = ReadParameters(codec, {data + 1, size - 1}, 60);
  const auto* const parameters = std::get_if<StreamParameters>(&read);
  if (parameters == nullptr) return 0;
  // What is found lies within the access unit.
  if (parameters->bytes.data() < data + 1 ||
      parameters->bytes.data() + parameters->bytes.size() > data + size) {
    std::abort();
  }
  // A promise that is added can be read, and keeps the size.
  if (!parameters->replacement.empty()) {
    const auto sps = ParseSps(parameters->replacement);
    if (!sps || sps->max_num_reorder_frames != 0u || sps->width != parameters->width ||
        sps->height != parameters->height) {
      std::abort();
    }
  }
  return 0;
}
