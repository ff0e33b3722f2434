// SPDX-License-Identifier: Apache-2.0
#include "harness/launch_timing.hpp"

#include <algorithm>

namespace clsink::harness {
namespace {

constexpr double kSampleUs = 5000;  // a sample repeats its launches until it lasts about so long
constexpr int kMostRepeats = 500;

}  // namespace

int repeats_of(double once_us, int least, int most) {
  return std::clamp(static_cast<int>(kSampleUs / std::max(once_us, 1.0)), least, most);
}

std::function<Sample()> repeated(const cl::CommandQueue& queue, const std::function<void()>& enqueue) {
  const auto run = [queue, enqueue](int repeats) {
    return time_repeats(repeats, [&] {
      for (int i = 0; i < repeats; ++i) enqueue();
      queue.finish();
    });
  };
  run(1);
  const int repeats = repeats_of(run(1).wall_us, 1, kMostRepeats);
  return [run, repeats] { return run(repeats); };
}

bool judged_by_cpu_time(const DeviceFacts& device) { return device.is_cpu && device.compute_units == 1; }

}  // namespace clsink::harness
