// SPDX-License-Identifier: Apache-2.0
// Storage types on the host: exact conversions between float and f16/bf16 bits (round to nearest even), and arrays of
// them. Portable bit code, so that the reference leans on no compiler's or device's half type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <clsink/types.hpp>

namespace clsink::harness {

std::uint16_t to_f16(float value);
std::uint16_t to_bf16(float value);
float from_f16(std::uint16_t bits);
float from_bf16(std::uint16_t bits);

/// The nearest value that the storage type can hold.
float round_to_storage(DType dtype, float value);

/// Writes `count` values at `target`, reads them from `source`; both in units of bytes, any alignment.
void store_row(DType dtype, const float* values, std::size_t count, std::byte* target);
void load_row(DType dtype, const std::byte* source, std::size_t count, float* values);

}  // namespace clsink::harness
