// SPDX-License-Identifier: Apache-2.0
// The version of the library; the macros of the headers' version are in version.h, which C shares.
#pragma once

#include <clsink/export.h>
#include <clsink/version.h>

namespace clsink {

/// Version of the library that is running, as "major.minor.patch".
CLSINK_API const char* version() noexcept;

}  // namespace clsink
