// SPDX-License-Identifier: Apache-2.0
// Timing of launches on an OpenCL queue: runs of them and one wait, and which clock counts on a device.
#pragma once

#include <functional>

#include <clsink/device.hpp>

#include "harness/opencl_device.hpp"
#include "harness/timing.hpp"

namespace clsink::harness {

/// How many launches of `once_us` make a sample that the clocks resolve.
int repeats_of(double once_us, int least, int most);

/// Measures launches in a row and one wait. Runs `enqueue` twice first: warm-up, and how many launches make a sample.
std::function<Sample()> repeated(const cl::CommandQueue& queue, const std::function<void()>& enqueue);

/// Whether processor time is what counts: only a CPU device with one thread spends exactly the step's own.
bool judged_by_cpu_time(const DeviceFacts& device);

/// The time of the sample that counts on the device.
inline double judged_us(const DeviceFacts& device, const Sample& sample) {
  return judged_by_cpu_time(device) ? sample.cpu_us : sample.wall_us;
}

}  // namespace clsink::harness
