// SPDX-License-Identifier: Apache-2.0
#include "ocl/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

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

// Some compilers (NVIDIA's) ignore #line and count the lines of the whole text: the places of the files that it was made
// from stand behind each such line number.
std::string with_file_places(const std::string& log, std::string_view source) {
  static const std::string marker = "<kernel>:";
  std::vector<std::string> places{""};  // by line of the text, from 1
  std::string file;
  int line = 0;
  for (std::size_t begin = 0; begin < source.size();) {
    const std::size_t end = std::min(source.find('\n', begin), source.size());
    const std::string text(source.substr(begin, end - begin));
    const std::size_t quote = text.find('"');
    if (text.rfind("#line ", 0) == 0 && quote != std::string::npos) {
      places.emplace_back();
      line = std::atoi(text.c_str() + 6);
      file = text.substr(quote + 1, text.rfind('"') - quote - 1);
    } else {
      places.push_back(fmt::format("{}:{}", file, line++));
    }
    begin = end + 1;
  }
  std::string result;
  std::size_t done = 0;
  for (std::size_t at = log.find(marker); at != std::string::npos; at = log.find(marker, at + 1)) {
    const std::size_t digits = at + marker.size(), digits_end = log.find_first_not_of("0123456789", digits);
    const auto number = static_cast<std::size_t>(std::atoi(log.c_str() + digits));
    result += log.substr(done, at - done);
    done = at;
    if (number < places.size() && digits_end != digits) {
      result += places[number];
      done = std::min(digits_end, log.size());
    }
  }
  return result + log.substr(done);
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
  build(device, source, options);
}

CompiledKernel::CompiledKernel(const cl::Context& context, const cl::Device& device, const Blob& binary,
                               const std::string& name, const std::string& options)
    : name_(name) {
  try {
    program_ = cl::Program(context, {device}, {binary});
  } catch (const cl::Error& error) {
    throw_cl_error(error.err(), error.what());
  }
  build(device, "", options);
}

// The C call: the binding's build() throws away which of several errors it was.
void CompiledKernel::build(const cl::Device& device, std::string_view source, const std::string& options) {
  const cl_device_id id = device();
  const auto refuse = [&](const char* what, cl_int code) {
    if (code == CL_OUT_OF_HOST_MEMORY) throw_cl_error(code, fmt::format("the build of kernel '{}'", name_));
    throw Error(ErrorCode::kBuildFailed, fmt::format("kernel '{}' {} ({})\noptions: {}\n{}", name_, what, cl_error_name(code),
                                                     options, with_file_places(build_log(program_, device), source)));
  };
  const cl_int code = clBuildProgram(program_(), 1, &id, options.c_str(), nullptr, nullptr);
  if (code != CL_SUCCESS) refuse("did not build", code);
  try {
    kernel_ = cl::Kernel(program_, name_.c_str());
  } catch (const cl::Error& error) {
    refuse("is missing after the build", error.err());
  }
}

Blob CompiledKernel::binary(const cl::Device& device) const {
  try {
    // One binary for each device of the context, of which one was built for: the others are not asked for.
    const std::vector<cl::Device> devices = program_.getInfo<CL_PROGRAM_DEVICES>();
    const std::vector<std::size_t> sizes = program_.getInfo<CL_PROGRAM_BINARY_SIZES>();
    const auto at = static_cast<std::size_t>(std::find(devices.begin(), devices.end(), device) - devices.begin());
    if (at >= sizes.size() || sizes[at] == 0) {
      throw Error(ErrorCode::kOpenCl, fmt::format("the program of kernel '{}' has no binary", name_));
    }
    Blob binary(sizes[at]);
    std::vector<unsigned char*> all(sizes.size(), nullptr);
    all[at] = binary.data();
    check_cl(clGetProgramInfo(program_(), CL_PROGRAM_BINARIES, all.size() * sizeof(all[0]), all.data(), nullptr),
             "clGetProgramInfo(CL_PROGRAM_BINARIES)");
    return binary;
  } catch (const cl::Error& error) {
    throw_cl_error(error.err(), error.what());
  }
}

void CompiledKernel::launch(cl_command_queue queue, const std::vector<KernelArgument>& arguments,
                            const LaunchGeometry& geometry, const std::vector<cl_event>& wait_for, cl_event* done) {
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
