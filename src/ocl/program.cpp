// SPDX-License-Identifier: Apache-2.0
#include "ocl/program.hpp"

#include <fmt/format.h>

#include "ocl/ocl_error.hpp"

namespace clsink {
namespace {

std::string build_log(const cl::Program& program, const cl::Device& device) {
  try {
    return program.getBuildInfo<CL_PROGRAM_BUILD_LOG>(device);
  } catch (const cl::Error& error) {
    return fmt::format("(no build log: {})", cl_error_name(error.err()));
  }
}

}  // namespace

CompiledKernel::CompiledKernel(const cl::Context& context, const cl::Device& device, std::string_view source,
                               const std::string& name, const std::string& options)
    : name_(name) {
  try {
    program_ = cl::Program(context, std::string(source));
  } catch (const cl::Error& error) {
    throw_cl_error(error.err(), error.what());
  }
  // The C call: the binding's build() throws away which of several errors it was.
  const cl_device_id id = device();
  const cl_int code = clBuildProgram(program_(), 1, &id, options.c_str(), nullptr, nullptr);
  if (code != CL_SUCCESS) {
    throw Error(ErrorCode::kBuildFailed, fmt::format("kernel '{}' did not build ({}) with options: {}\n{}", name,
                                                     cl_error_name(code), options, build_log(program_, device)));
  }
  try {
    kernel_ = cl::Kernel(program_, name.c_str());
  } catch (const cl::Error& error) {
    throw Error(ErrorCode::kBuildFailed, fmt::format("kernel '{}' is missing after the build ({}) with options: {}\n{}", name,
                                                     cl_error_name(error.err()), options, build_log(program_, device)));
  }
}

void CompiledKernel::launch(cl_command_queue queue, const std::vector<KernelArgument>& arguments, const LaunchGeometry& geometry,
                            const std::vector<cl_event>& wait_for, cl_event* done) {
  const std::size_t local = geometry.work_items, global = geometry.work_groups * local;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (cl_uint i = 0; i < arguments.size(); ++i) {
    const cl_int code = clSetKernelArg(kernel_(), i, arguments[i].bytes, arguments[i].data);
    if (code != CL_SUCCESS) throw_cl_error(code, fmt::format("clSetKernelArg {} of kernel '{}'", i, name_));
  }
  const cl_int code =
      clEnqueueNDRangeKernel(queue, kernel_(), 1, nullptr, &global, &local, static_cast<cl_uint>(wait_for.size()),
                             wait_for.empty() ? nullptr : wait_for.data(), done);
  if (code != CL_SUCCESS) {
    throw_cl_error(code, fmt::format("clEnqueueNDRangeKernel of kernel '{}' ({} x {})", name_, geometry.work_groups, local));
  }
}

}  // namespace clsink
