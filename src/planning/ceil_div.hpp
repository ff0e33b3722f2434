// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

namespace clsink {

/// a / b rounded up, for a >= 0 and b > 0.
template <typename A, typename B>
constexpr std::common_type_t<A, B> ceil_div(A a, B b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

}  // namespace clsink
