// SPDX-License-Identifier: Apache-2.0
// The field table of variants: their text and parser come from it; the kernels' macros have the same names in capitals.
#pragma once

#include <array>

#include <clsink/device.hpp>
#include <clsink/plan.hpp>

namespace clsink {

struct VariantField {
  const char* key;
  std::int32_t DecodeVariant::*member;
  bool optional = false;  ///< 0 where the text does not name it
};

inline constexpr std::array<VariantField, 6> kVariantFields = {{
    {"wg", &DecodeVariant::wg},
    {"tile_kv", &DecodeVariant::tile_kv},
    {"vec", &DecodeVariant::vec},
    {"stages", &DecodeVariant::stages},
    {"heads", &DecodeVariant::heads, true},
    {"sub_group_size", &DecodeVariant::sub_group_size, true},
}};

/// Lanes of a sub-group that the variant's kernel is compiled for; 0: unknown, or it uses none.
std::int32_t sub_group_lanes(const DeviceFacts& facts, const DecodeVariant& variant);

/// Whether decode routes in its prologue: every worker all groups (work list) or its own one. In a single launch with a work
/// list of more groups than that is worth, route runs before it.
bool routes_in_prologue(const DecodeProblem& problem, const DecodeVariant& variant);

const char* to_string(Engine engine);
const char* to_string(Schedule schedule);
const char* to_string(Fusion fusion);

}  // namespace clsink
