// SPDX-License-Identifier: Apache-2.0
// The version of the headers; clsink::version() and clsink_version() tell that of the library at run time.
#pragma once

#define CLSINK_VERSION_MAJOR 0
#define CLSINK_VERSION_MINOR 1
#define CLSINK_VERSION_PATCH 0

namespace clsink {

/// Version of the library that is running, as "major.minor.patch".
const char* version() noexcept;

}  // namespace clsink
