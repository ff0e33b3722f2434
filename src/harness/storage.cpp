// SPDX-License-Identifier: Apache-2.0
#include "harness/storage.hpp"

#include <cmath>
#include <cstring>

namespace clsink::harness {
namespace {

std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Drops the low `shift` bits, to nearest, ties to even.
std::uint32_t shift_to_nearest_even(std::uint32_t bits, int shift) {
  const std::uint32_t half = (1U << (shift - 1)) - 1;
  return (bits + half + ((bits >> shift) & 1U)) >> shift;
}

}  // namespace

std::uint16_t to_f16(float value) {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t result;
  if (magnitude > 0x7f800000U) {
    result = 0x7e00U;  // NaN
  } else if (magnitude >= 0x47800000U) {
    result = 0x7c00U;  // 65536 and more
  } else if (magnitude >= 0x38800000U) {
    result = shift_to_nearest_even(magnitude - 0x38000000U, 13);  // a carry out of the mantissa reaches inf by itself
  } else if (magnitude < 0x33000000U) {
    result = 0;  // below half of the smallest subnormal, 2^-25
  } else {
    const int exponent = static_cast<int>(magnitude >> 23);
    result = shift_to_nearest_even((magnitude & 0x7fffffU) | 0x800000U, 126 - exponent);  // subnormal
  }
  return static_cast<std::uint16_t>(sign | result);
}

std::uint16_t to_bf16(float value) {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);  // NaN stays NaN
  return static_cast<std::uint16_t>(shift_to_nearest_even(bits & 0x7fffffffU, 16) | ((bits >> 16) & 0x8000U));
}

float from_f16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fU;
  const std::uint32_t mantissa = half & 0x3ffU;
  if (exponent == 0x1fU) return float_of(sign | 0x7f800000U | (mantissa << 13));
  if (exponent != 0) return float_of(sign | ((exponent + 112U) << 23) | (mantissa << 13));
  const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  return sign != 0 ? -magnitude : magnitude;
}

float from_bf16(std::uint16_t bits) { return float_of(static_cast<std::uint32_t>(bits) << 16); }

float round_to_storage(DType dtype, float value) {
  if (dtype == DType::kF16) return from_f16(to_f16(value));
  if (dtype == DType::kBF16) return from_bf16(to_bf16(value));
  return value;
}

void store_row(DType dtype, const float* values, std::size_t count, std::byte* target) {
  if (dtype == DType::kF32) {
    std::memcpy(target, values, count * sizeof(float));
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t bits = dtype == DType::kF16 ? to_f16(values[i]) : to_bf16(values[i]);
    std::memcpy(target + i * sizeof bits, &bits, sizeof bits);
  }
}

void load_row(DType dtype, const std::byte* source, std::size_t count, float* values) {
  if (dtype == DType::kF32) {
    std::memcpy(values, source, count * sizeof(float));
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, source + i * sizeof bits, sizeof bits);
    values[i] = dtype == DType::kF16 ? from_f16(bits) : from_bf16(bits);
  }
}

}  // namespace clsink::harness
