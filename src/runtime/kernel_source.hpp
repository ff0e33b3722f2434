// SPDX-License-Identifier: Apache-2.0
// The kernels as text, part of the library.
#pragma once

#include <string_view>

#include "model/program_spec.hpp"

namespace clsink {

/// The embedded source of a kernel, includes flattened.
std::string_view kernel_source(Kernel kernel);

}  // namespace clsink
