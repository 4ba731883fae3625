// SPDX-License-Identifier: Apache-2.0
// A PipeWire buffer with metadata of a test's choice.
#ifndef SCANBRIDGE_GUEST_TEST_SPA_PICTURE_H_
#define SCANBRIDGE_GUEST_TEST_SPA_PICTURE_H_

#include <spa/buffer/buffer.h>
#include <spa/buffer/meta.h>

#include <cstdint>
#include <cstring>
#include <list>
#include <vector>

namespace scanbridge::guest::test {

class SpaPicture {
 public:
  /// Room of exactly these bytes, so that a sanitizer sees every read beyond it.
  void AddMeta(uint32_t type, const void* bytes, size_t size) {
    auto& memory = memory_.emplace_back(size);
    if (size > 0) std::memcpy(memory.data(), bytes, size);
    metas_.push_back({type, static_cast<uint32_t>(size), memory.data()});
  }

  const spa_buffer& buffer() {
    data_.chunk = &chunk;
    buffer_.n_metas = static_cast<uint32_t>(metas_.size());
    buffer_.metas = metas_.data();
    buffer_.n_datas = 1;
    buffer_.datas = &data_;
    return buffer_;
  }

  spa_chunk chunk{0, 64, 16, 0};

 private:
  std::list<std::vector<uint8_t>> memory_;
  std::vector<spa_meta> metas_;
  spa_data data_{};
  spa_buffer buffer_{};
};

}  // namespace scanbridge::guest::test

#endif  // SCANBRIDGE_GUEST_TEST_SPA_PICTURE_H_
