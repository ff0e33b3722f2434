// SPDX-License-Identifier: Apache-2.0
// The one exception type of the library.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include <clsink/export.h>

namespace clsink {

/// Few codes, because a caller can do few things. clsink.h has the same numbers.
enum class ErrorCode : std::int32_t {
  kInvalidProblem = 1,     ///< a field of problem, variant, options or text is wrong; the message names field and value
  kInvalidBuffer = 2,      ///< a buffer, offset, step value or workspace does not fit the plan
  kUnsupportedDevice = 3,  ///< the device lacks what the problem or the forced variant needs
  kBuildFailed = 4,        ///< a kernel did not compile or start; the message holds variant, options and build log
  kOutOfMemory = 5,        ///< host or device memory
  kOpenCl = 6,             ///< another OpenCL call failed; the message names call and code
  kInvalidPlan = 7,        ///< plan of another context, or not prepared
  kInternal = 8,           ///< a defect of clsink
};

/// Name of a code, for example "invalid problem".
CLSINK_API const char* to_string(ErrorCode code) noexcept;

class CLSINK_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace clsink
