// SPDX-License-Identifier: Apache-2.0
#include <clsink/error.hpp>
#include <clsink/version.hpp>

#define CLSINK_TEXT_(x) #x
#define CLSINK_TEXT(x) CLSINK_TEXT_(x)

namespace clsink {

const char* version() noexcept {
  return CLSINK_TEXT(CLSINK_VERSION_MAJOR) "." CLSINK_TEXT(CLSINK_VERSION_MINOR) "." CLSINK_TEXT(CLSINK_VERSION_PATCH);
}

const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidProblem:
      return "invalid problem";
    case ErrorCode::kInvalidBuffer:
      return "invalid buffer";
    case ErrorCode::kUnsupportedDevice:
      return "unsupported device";
    case ErrorCode::kBuildFailed:
      return "build failed";
    case ErrorCode::kOutOfMemory:
      return "out of memory";
    case ErrorCode::kOpenCl:
      return "OpenCL error";
    case ErrorCode::kInvalidPlan:
      return "invalid plan";
    case ErrorCode::kInternal:
      return "internal error";
  }
  return "unknown error";
}

}  // namespace clsink
