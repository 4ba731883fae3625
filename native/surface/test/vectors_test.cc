// SPDX-License-Identifier: Apache-2.0
// The test vectors that every implementation of the surface protocol passes.
#include <gtest/gtest.h>
#include <scanbridge/surface/connection.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "pair.h"

namespace scanbridge::surface::test {
namespace {

std::vector<uint8_t> Unhex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

sb_direction From(const nlohmann::json& vector) {
  return vector.at("from") == "client" ? SB_FROM_CLIENT : SB_FROM_SERVER;
}

const nlohmann::json& Vectors() {
  static const nlohmann::json vectors = nlohmann::json::parse(std::ifstream(SCANBRIDGE_VECTORS));
  return vectors;
}

/// Descriptors that travel with the bytes: as many as they claim, when one message may carry them.
size_t Claimed(const std::vector<uint8_t>& bytes) {
  const size_t claimed = bytes.size() > 6 ? bytes[6] : 0;
  return claimed <= SB_MAX_FDS ? claimed : 0;
}

TEST(Vectors, ValidOnesArriveWholeHoweverTheyAreCut) {
  ASSERT_GE(Vectors().at("valid").size(), 20u);
  for (const auto& vector : Vectors().at("valid")) {
    const std::vector<uint8_t> bytes = Unhex(vector.at("hex"));
    const auto cuts = {bytes.size(), size_t{1}, size_t{7}};
    for (const size_t cut : cuts) {
      Pair pair;
      Connection connection(std::move(pair.near), From(vector));
      Message m;
      for (size_t at = 0; at < bytes.size(); at += cut) {
        EXPECT_EQ(connection.Receive(m), ReceiveStatus::kWouldBlock) << vector;
        RawSend(pair.far.get(), std::span(bytes).subspan(at, std::min(cut, bytes.size() - at)),
                at == 0 ? Claimed(bytes) : 0);
      }
      ASSERT_EQ(connection.Receive(m), ReceiveStatus::kMessage)
          << vector << connection.error().text;
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), m.bytes.begin(), m.bytes.end()));
      EXPECT_EQ(m.fds.size(), Claimed(bytes));
    }
  }
}

TEST(Vectors, InvalidOnesFailWithTheirCode) {
  ASSERT_GE(Vectors().at("invalid").size(), 20u);
  for (const auto& vector : Vectors().at("invalid")) {
    const std::vector<uint8_t> bytes = Unhex(vector.at("hex"));
    Pair pair;
    Connection connection(std::move(pair.near), From(vector));
    if (!bytes.empty()) RawSend(pair.far.get(), bytes, Claimed(bytes));
    pair.far.reset();
    Message m;
    EXPECT_EQ(connection.Receive(m), ReceiveStatus::kFailed) << vector;
    EXPECT_EQ(connection.error().code, vector.at("code").get<uint32_t>())
        << vector << connection.error().text;
    EXPECT_EQ(ErrorName(connection.error().code), vector.at("codeName").get<std::string>());
  }
}

}  // namespace
}  // namespace scanbridge::surface::test
