// SPDX-License-Identifier: Apache-2.0
#include "ocl/ocl_error.hpp"

#include <fmt/format.h>

namespace clsink {

std::string cl_error_name(cl_int code) {
#define CLSINK_NAME(name) \
  { name, #name }
  static constexpr struct {
    cl_int code;
    const char* name;
  } names[] = {CLSINK_NAME(CL_DEVICE_NOT_FOUND),        CLSINK_NAME(CL_DEVICE_NOT_AVAILABLE),
               CLSINK_NAME(CL_COMPILER_NOT_AVAILABLE),  CLSINK_NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE),
               CLSINK_NAME(CL_OUT_OF_RESOURCES),        CLSINK_NAME(CL_OUT_OF_HOST_MEMORY),
               CLSINK_NAME(CL_BUILD_PROGRAM_FAILURE),   CLSINK_NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
               CLSINK_NAME(CL_INVALID_VALUE),           CLSINK_NAME(CL_INVALID_PLATFORM),
               CLSINK_NAME(CL_INVALID_DEVICE),          CLSINK_NAME(CL_INVALID_CONTEXT),
               CLSINK_NAME(CL_INVALID_COMMAND_QUEUE),   CLSINK_NAME(CL_INVALID_MEM_OBJECT),
               CLSINK_NAME(CL_INVALID_BINARY),          CLSINK_NAME(CL_INVALID_BUILD_OPTIONS),
               CLSINK_NAME(CL_INVALID_PROGRAM),         CLSINK_NAME(CL_INVALID_PROGRAM_EXECUTABLE),
               CLSINK_NAME(CL_INVALID_KERNEL_NAME),     CLSINK_NAME(CL_INVALID_KERNEL),
               CLSINK_NAME(CL_INVALID_ARG_INDEX),       CLSINK_NAME(CL_INVALID_ARG_VALUE),
               CLSINK_NAME(CL_INVALID_ARG_SIZE),        CLSINK_NAME(CL_INVALID_KERNEL_ARGS),
               CLSINK_NAME(CL_INVALID_WORK_GROUP_SIZE), CLSINK_NAME(CL_INVALID_WORK_ITEM_SIZE),
               CLSINK_NAME(CL_INVALID_EVENT_WAIT_LIST), CLSINK_NAME(CL_INVALID_EVENT),
               CLSINK_NAME(CL_INVALID_OPERATION),       CLSINK_NAME(CL_INVALID_BUFFER_SIZE),
               CLSINK_NAME(CL_INVALID_GLOBAL_WORK_SIZE)};
#undef CLSINK_NAME
  for (const auto& row : names) {
    if (row.code == code) return row.name;
  }
  return fmt::format("OpenCL error {}", code);
}

void throw_cl_error(cl_int code, const std::string& call) {
  const bool memory = code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_HOST_MEMORY || code == CL_OUT_OF_RESOURCES;
  throw OpenClError(memory ? ErrorCode::kOutOfMemory : ErrorCode::kOpenCl,
                    fmt::format("{} returned {}", call, cl_error_name(code)), code);
}

}  // namespace clsink
