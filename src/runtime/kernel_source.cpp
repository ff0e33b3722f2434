// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_source.hpp"

namespace clsink {

extern const std::string_view k_route_source;
extern const std::string_view k_schedule_source;
extern const std::string_view k_decode_source;
extern const std::string_view k_combine_source;

std::string_view kernel_source(Kernel kernel) {
  switch (kernel) {
    case Kernel::kRoute:
      return k_route_source;
    case Kernel::kSchedule:
      return k_schedule_source;
    case Kernel::kDecode:
      return k_decode_source;
    case Kernel::kCombine:
      return k_combine_source;
  }
  return {};
}

}  // namespace clsink
