// SPDX-License-Identifier: Apache-2.0
#include "stub_opencl.hpp"

#include <array>
#include <cstring>

#include "require.hpp"

namespace {

using clsink::fuzz::stub_device;

// Handles that nobody looks into.
char contexts[2], devices[1], platforms[1], queues[1], programs[1], kernels[1], events[1];
_cl_mem placeholder;

template <typename Handle>
Handle handle(char& of) {
  return reinterpret_cast<Handle>(&of);
}

cl_int answer(const void* value, std::size_t bytes, std::size_t size, void* to, std::size_t* needed) {
  if (needed != nullptr) *needed = bytes;
  if (to == nullptr) return CL_SUCCESS;
  if (size < bytes) return CL_INVALID_VALUE;
  std::memcpy(to, value, bytes);
  return CL_SUCCESS;
}

template <typename T>
cl_int answer(const T& value, std::size_t size, void* to, std::size_t* needed) {
  return answer(&value, sizeof value, size, to, needed);
}

cl_int answer(const std::string& text, std::size_t size, void* to, std::size_t* needed) {
  return answer(text.c_str(), text.size() + 1, size, to, needed);
}

template <typename Handle>
Handle created(char& of, cl_int* code) {
  if (code != nullptr) *code = CL_SUCCESS;
  return handle<Handle>(of);
}

}  // namespace

namespace clsink::fuzz {

StubDevice& stub_device() {
  static StubDevice device;
  return device;
}

cl_context context() { return handle<cl_context>(contexts[0]); }
cl_context another_context() { return handle<cl_context>(contexts[1]); }
cl_device_id device() { return handle<cl_device_id>(devices[0]); }
cl_command_queue queue() { return handle<cl_command_queue>(queues[0]); }

}  // namespace clsink::fuzz

extern "C" {

cl_int clGetPlatformInfo(cl_platform_id, cl_platform_info question, size_t size, void* to, size_t* needed) {
  return answer(std::string(question == CL_PLATFORM_VERSION ? "OpenCL 1.2 stub" : "Stub"), size, to, needed);
}

cl_int clGetDeviceInfo(cl_device_id, cl_device_info question, size_t size, void* to, size_t* needed) {
  const auto& d = stub_device();
  switch (question) {
    case CL_DEVICE_PLATFORM:
      return answer(handle<cl_platform_id>(platforms[0]), size, to, needed);
    case CL_DEVICE_TYPE:
      return answer(d.type, size, to, needed);
    case CL_DEVICE_NAME:
      return answer(std::string("Stub device"), size, to, needed);
    case CL_DEVICE_VENDOR:
      return answer(d.vendor, size, to, needed);
    case CL_DEVICE_VERSION:
      return answer(d.version, size, to, needed);
    case CL_DEVICE_EXTENSIONS:
      return answer(d.extensions, size, to, needed);
    case CL_DRIVER_VERSION:
      return answer(std::string("1.0"), size, to, needed);
    case CL_DEVICE_ENDIAN_LITTLE:
      return answer(d.little_endian, size, to, needed);
    case CL_DEVICE_MAX_COMPUTE_UNITS:
      return answer(d.compute_units, size, to, needed);
    case CL_DEVICE_ADDRESS_BITS:
      return answer(d.address_bits, size, to, needed);
    case CL_DEVICE_MAX_WORK_GROUP_SIZE:
      return answer(d.max_work_group_size, size, to, needed);
    case CL_DEVICE_LOCAL_MEM_SIZE:
      return answer(d.local_mem_bytes, size, to, needed);
    case CL_DEVICE_GLOBAL_MEM_SIZE:
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
      return answer(cl_ulong{1} << 40, size, to, needed);
    case CL_DEVICE_MEM_BASE_ADDR_ALIGN:
      return answer(cl_uint{1024}, size, to, needed);
    case CL_DEVICE_PROFILING_TIMER_RESOLUTION:
      return answer(std::size_t{1}, size, to, needed);
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT:
      return answer(cl_uint{1}, size, to, needed);
    case 0x4000:  // CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV
      return answer(d.nv_major, size, to, needed);
    case 0x4001:
      return answer(d.nv_minor, size, to, needed);
    case 0x1064:  // CL_DEVICE_ATOMIC_FENCE_CAPABILITIES
      return answer(~cl_ulong{0}, size, to, needed);
    case 0x105C:  // CL_DEVICE_MAX_NUM_SUB_GROUPS
      return d.knows_sub_groups ? answer(cl_uint{8}, size, to, needed) : CL_INVALID_VALUE;
    case 0x4108:  // CL_DEVICE_SUB_GROUP_SIZES_INTEL
      return d.knows_sub_groups ? answer(std::array<std::size_t, 3>{8, 16, 32}, size, to, needed) : CL_INVALID_VALUE;
    default:
      return CL_INVALID_VALUE;
  }
}

cl_int clGetContextInfo(cl_context, cl_context_info question, size_t size, void* to, size_t* needed) {
  if (question == CL_CONTEXT_NUM_DEVICES) return answer(cl_uint{1}, size, to, needed);
  return question == CL_CONTEXT_DEVICES ? answer(clsink::fuzz::device(), size, to, needed) : CL_INVALID_VALUE;
}

cl_int clGetCommandQueueInfo(cl_command_queue, cl_command_queue_info question, size_t size, void* to, size_t* needed) {
  if (question == CL_QUEUE_CONTEXT) return answer(clsink::fuzz::context(), size, to, needed);
  if (question == CL_QUEUE_DEVICE) return answer(clsink::fuzz::device(), size, to, needed);
  const cl_command_queue_properties order = stub_device().in_order ? 0 : CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
  return answer(order, size, to, needed);
}

cl_int clGetMemObjectInfo(cl_mem memory, cl_mem_info question, size_t size, void* to, size_t* needed) {
  if (question == CL_MEM_CONTEXT) return answer(memory->context, size, to, needed);
  return answer(memory->bytes, size, to, needed);
}

cl_int clGetProgramInfo(cl_program, cl_program_info question, size_t size, void* to, size_t* needed) {
  if (question == CL_PROGRAM_NUM_DEVICES) return answer(cl_uint{1}, size, to, needed);
  return question == CL_PROGRAM_DEVICES ? answer(clsink::fuzz::device(), size, to, needed) : CL_INVALID_VALUE;
}

cl_int clGetProgramBuildInfo(cl_program, cl_device_id, cl_program_build_info, size_t size, void* to, size_t* needed) {
  return answer(std::string("<kernel>:7:1: error"), size, to, needed);
}

cl_program clCreateProgramWithSource(cl_context, cl_uint, const char**, const size_t*, cl_int* code) {
  return created<cl_program>(programs[0], code);
}
cl_program clCreateProgramWithBinary(cl_context, cl_uint, const cl_device_id*, const size_t*, const unsigned char**,
                                     cl_int* status, cl_int* code) {
  if (status != nullptr) *status = CL_INVALID_BINARY;
  if (code != nullptr) *code = CL_INVALID_BINARY;
  return nullptr;
}
cl_int clBuildProgram(cl_program, cl_uint, const cl_device_id*, const char* options, void (*)(cl_program, void*), void*) {
  return stub_device().build(options);
}
cl_kernel clCreateKernel(cl_program, const char*, cl_int* code) { return created<cl_kernel>(kernels[0], code); }
cl_command_queue clCreateCommandQueue(cl_context, cl_device_id, cl_command_queue_properties, cl_int* code) {
  return created<cl_command_queue>(queues[0], code);
}
cl_mem clCreateBuffer(cl_context context, cl_mem_flags, size_t bytes, void*, cl_int* code) {
  placeholder = {bytes, context};
  if (code != nullptr) *code = CL_SUCCESS;
  return &placeholder;
}

cl_int clSetKernelArg(cl_kernel, cl_uint, size_t bytes, const void*) {
  REQUIRE(bytes >= sizeof(cl_mem));
  return CL_SUCCESS;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue, cl_kernel, cl_uint dimensions, const size_t*, const size_t* global,
                              const size_t* local, cl_uint num_wait, const cl_event* wait_for, cl_event* event) {
  REQUIRE(dimensions == 1 && local[0] > 0 && local[0] <= stub_device().max_work_group_size);
  REQUIRE(global[0] > 0 && global[0] % local[0] == 0);
  REQUIRE((num_wait == 0) == (wait_for == nullptr));
  const cl_int code = stub_device().launch();
  if (code == CL_SUCCESS && event != nullptr) *event = handle<cl_event>(events[0]);
  return code;
}
// What a launch without sequences leaves in its workspace.
cl_int clEnqueueReadBuffer(cl_command_queue, cl_mem memory, cl_bool, size_t offset, size_t bytes, void* to, cl_uint,
                           const cl_event*, cl_event*) {
  REQUIRE(memory == &placeholder && offset == 0 && bytes == sizeof(cl_int) && bytes <= placeholder.bytes);
  std::memcpy(to, &stub_device().sub_group_size, bytes);
  return CL_SUCCESS;
}
cl_int clEnqueueMarkerWithWaitList(cl_command_queue, cl_uint, const cl_event*, cl_event* event) {
  if (event != nullptr) *event = handle<cl_event>(events[0]);
  return CL_SUCCESS;
}

cl_int clFinish(cl_command_queue) { return CL_SUCCESS; }
cl_int clRetainContext(cl_context) { return CL_SUCCESS; }
cl_int clRetainDevice(cl_device_id) { return CL_SUCCESS; }
cl_int clRetainEvent(cl_event) { return CL_SUCCESS; }
cl_int clReleaseCommandQueue(cl_command_queue) { return CL_SUCCESS; }
cl_int clReleaseContext(cl_context) { return CL_SUCCESS; }
cl_int clReleaseDevice(cl_device_id) { return CL_SUCCESS; }
cl_int clReleaseEvent(cl_event) { return CL_SUCCESS; }
cl_int clReleaseKernel(cl_kernel) { return CL_SUCCESS; }
cl_int clReleaseMemObject(cl_mem) { return CL_SUCCESS; }
cl_int clReleaseProgram(cl_program) { return CL_SUCCESS; }

}  // extern "C"
