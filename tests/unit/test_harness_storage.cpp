// SPDX-License-Identifier: Apache-2.0
// Conversions between float and the 16-bit storage types.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "harness/storage.hpp"

namespace clsink::harness {
namespace {

TEST(Storage, F16KnownValues) {
  EXPECT_EQ(to_f16(0.0F), 0x0000);
  EXPECT_EQ(to_f16(-0.0F), 0x8000);
  EXPECT_EQ(to_f16(1.0F), 0x3c00);
  EXPECT_EQ(to_f16(-2.0F), 0xc000);
  EXPECT_EQ(to_f16(65504.0F), 0x7bff);
  EXPECT_EQ(to_f16(65519.0F), 0x7bff);
  EXPECT_EQ(to_f16(65520.0F), 0x7c00);  // a tie that rounds up to infinity
  EXPECT_EQ(to_f16(1e10F), 0x7c00);
  EXPECT_EQ(to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(to_f16(std::ldexp(1.0F, -14)), 0x0400);  // smallest normal
  EXPECT_EQ(to_f16(std::ldexp(1.0F, -24)), 0x0001);  // smallest subnormal
}

TEST(Storage, F16TiesGoToEven) {
  EXPECT_EQ(to_f16(1.0F + std::ldexp(1.0F, -11)), 0x3c00);
  EXPECT_EQ(to_f16(1.0F + 3 * std::ldexp(1.0F, -11)), 0x3c02);
  EXPECT_EQ(to_f16(1.0F + std::ldexp(1.0F, -11) + std::ldexp(1.0F, -20)), 0x3c01);
  EXPECT_EQ(to_f16(std::ldexp(1.0F, -25)), 0x0000);
  EXPECT_EQ(to_f16(3 * std::ldexp(1.0F, -25)), 0x0002);
  EXPECT_EQ(to_f16(std::ldexp(1.0F, -25) * 1.0001F), 0x0001);
  EXPECT_EQ(to_f16(std::ldexp(1.0F, -14) - std::ldexp(1.0F, -25)), 0x0400);  // subnormal that rounds up to normal
}

TEST(Storage, EveryF16ComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const float value = from_f16(static_cast<std::uint16_t>(bits));
    if ((bits & 0x7fffU) > 0x7c00U) {
      EXPECT_TRUE(std::isnan(value) && std::isnan(from_f16(to_f16(value)))) << bits;
    } else {
      EXPECT_EQ(to_f16(value), bits);
    }
  }
}

TEST(Storage, EveryBF16ComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const float value = from_bf16(static_cast<std::uint16_t>(bits));
    if ((bits & 0x7fffU) > 0x7f80U) {
      EXPECT_TRUE(std::isnan(value) && std::isnan(from_bf16(to_bf16(value)))) << bits;
    } else {
      EXPECT_EQ(to_bf16(value), bits);
    }
  }
}

TEST(Storage, BF16TiesGoToEven) {
  EXPECT_EQ(to_bf16(1.0F + std::ldexp(1.0F, -8)), 0x3f80);
  EXPECT_EQ(to_bf16(1.0F + 3 * std::ldexp(1.0F, -8)), 0x3f82);
  EXPECT_EQ(to_bf16(-1.0F - 3 * std::ldexp(1.0F, -8)), 0xbf82);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

TEST(Storage, RowsRoundAndComeBack) {
  const float values[] = {1.0F, 1.0F / 3, -1e5F};
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
    std::byte bytes[13];  // rows may lie anywhere
    float back[3];
    store_row(dtype, values, 3, bytes + 1);
    load_row(dtype, bytes + 1, 3, back);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(back[i], round_to_storage(dtype, values[i]));
  }
  EXPECT_EQ(round_to_storage(DType::kF16, -1e5F), -std::numeric_limits<float>::infinity());
  EXPECT_NE(round_to_storage(DType::kBF16, 1.0F / 3), 1.0F / 3);
}

}  // namespace
}  // namespace clsink::harness
