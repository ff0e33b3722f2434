// SPDX-License-Identifier: Apache-2.0
// OpenCL failures as clsink::Error: the message names the call and the code.
#pragma once

#include <CL/opencl.hpp>
#include <string>

#include <clsink/error.hpp>

namespace clsink {

/// "CL_OUT_OF_RESOURCES" for -5, or the number.
std::string cl_error_name(cl_int code);

/// An Error that knows the OpenCL code behind it.
class OpenClError : public Error {
 public:
  OpenClError(ErrorCode code, const std::string& message, cl_int cl_code) : Error(code, message), cl_code_(cl_code) {}
  cl_int cl_code() const noexcept { return cl_code_; }

 private:
  cl_int cl_code_;
};

/// Throws OpenClError: kOutOfMemory for the allocation codes, else kOpenCl.
[[noreturn]] void throw_cl_error(cl_int code, const std::string& call);

inline void check_cl(cl_int code, const char* call) {
  if (code != CL_SUCCESS) throw_cl_error(code, call);
}

}  // namespace clsink
