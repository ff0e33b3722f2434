// SPDX-License-Identifier: Apache-2.0
// What the device tests of one process share: the device, one Context (so that programs build once), and the line that
// repeats a failure.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "harness/device_case.hpp"

namespace clsink::harness {

const OpenClDevice& test_device();
Context& test_context();

/// Out-of-order if asked and if the device has such queues.
cl::CommandQueue test_queue(bool in_order);

bool same_bits(const std::vector<float>& a, const std::vector<float>& b);

/// Success, or all failures of the case and the command that repeats it.
testing::AssertionResult passes(const Case& c);
testing::AssertionResult passes(const Case& c, const Inputs& inputs, const ReferenceResult& reference);

/// Whether CLSINK_FULL=1 asks for everything.
bool full_tier();

/// The case once for every variant that fits its problem.
std::vector<Case> with_every_variant(const Case& c);
/// What variants differ in.
struct VariantWords {
  std::string engine, schedule, fusion;
  std::vector<std::string> fields;  ///< "wg=64"
};
VariantWords words_of(const DecodeVariant& variant);
/// Others than the cpu engine's take seconds to build on CPU devices.
bool builds_fast(const DecodeVariant& variant);
/// One of each engine, schedule and fusion; in the fast tier not all of engines that build slowly. Of the cpu engine, in the
/// full tier of all, every value of every field too, without fusion; with each fusion the suite has them.
std::vector<Case> with_typical_variants(const Case& c);

/// A case that is set up, run any number of times, and compared.
struct Fixture {
  explicit Fixture(const Case& c, Context& context = test_context());

  void enqueue(cl::CommandQueue& queue) { context.enqueue(queue(), plan, on_device.buffers, on_device.step); }
  /// Behind `last`, if there is one, which becomes this step's event.
  void enqueue_after(cl::CommandQueue& queue, cl::Event& last);
  /// Enqueues on a profiling queue; the kernels by name with their events.
  std::vector<std::pair<std::string, cl::Event>> enqueue_profiled(cl::CommandQueue& queue);
  /// One step on the queue, from poisoned outputs and workspace.
  Readback run(cl::CommandQueue& queue);
  testing::AssertionResult good(const Readback& got) const;

  Context& context;
  Case c;
  Inputs inputs;
  ReferenceResult reference;
  DecodePlan plan;
  DeviceCase on_device;
};

}  // namespace clsink::harness
