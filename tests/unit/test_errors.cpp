// SPDX-License-Identifier: Apache-2.0
// Codes, names and versions are the same in every place that has them.
#include <clsink/clsink.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include <clsink/clsink.hpp>

#include "harness/opencl_device.hpp"  // the version of the bindings, before anything that includes them
#include "ocl/ocl_error.hpp"

namespace {

using clsink::Error;
using clsink::ErrorCode;

TEST(Errors, EveryCodeHasItsName) {
  std::set<std::string> names = {clsink_status_text(CLSINK_OK), clsink_status_text(-1)};
  EXPECT_EQ(clsink_status_text(-1), std::string(clsink_status_text(CLSINK_INTERNAL + 1)));
  for (clsink_status status = CLSINK_INVALID_PROBLEM; status <= CLSINK_INTERNAL; ++status) {
    EXPECT_STREQ(clsink_status_text(status), clsink::to_string(static_cast<ErrorCode>(status)));
    EXPECT_TRUE(names.insert(clsink_status_text(status)).second) << clsink_status_text(status);
  }
}

TEST(Errors, OpenClCodesBecomeTwoCodes) {
  const auto code_of = [](cl_int code) {
    try {
      clsink::throw_cl_error(code, "clSomething");
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("clSomething"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(clsink::cl_error_name(code)), std::string::npos) << error.what();
      return error.code();
    }
  };
  for (const cl_int code : {CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_RESOURCES, CL_OUT_OF_HOST_MEMORY}) {
    EXPECT_EQ(code_of(code), ErrorCode::kOutOfMemory);
  }
  for (const cl_int code : {CL_INVALID_VALUE, CL_INVALID_WORK_GROUP_SIZE, CL_DEVICE_NOT_AVAILABLE, -9999}) {
    EXPECT_EQ(code_of(code), ErrorCode::kOpenCl);
  }
}

TEST(Version, HeadersLibraryAndBuildAgree) {
  const std::string headers = std::to_string(CLSINK_VERSION_MAJOR) + "." + std::to_string(CLSINK_VERSION_MINOR) + "." +
                              std::to_string(CLSINK_VERSION_PATCH);
  EXPECT_EQ(clsink::version(), headers);
  EXPECT_EQ(clsink_version(), headers);
  EXPECT_EQ(CLSINK_PROJECT_VERSION, headers);
}

}  // namespace
