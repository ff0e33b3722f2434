// SPDX-License-Identifier: Apache-2.0
// The programs of a plan are built at once, on threads of their own; callbacks stay on the caller's.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <stdexcept>
#include <thread>

#include "error_setup.hpp"
#include "logged.hpp"
#include "many_programs.hpp"
#include "opencl_faults.hpp"

namespace clsink::harness {
namespace {

using namespace std::chrono_literals;

DecodePlan plan_in(Context& context) { return context.plan(many_programs().problem, *many_programs().variant); }

TEST(Builds, AllProgramsOfAPlanAtOnce) {
  Logged logged;
  const DecodePlan plan = plan_in(logged.context);
  const std::size_t needed = logged.context.launches(plan).size();
  ASSERT_GE(needed, 3U);
  std::mutex mutex;
  std::condition_variable arrived;
  std::size_t begun = 0;
  OpenClFaults faults;  // every build waits for all the others to begin
  faults.build = [&](const std::string&) {
    std::unique_lock<std::mutex> lock(mutex);
    ++begun;
    arrived.notify_all();
    return arrived.wait_for(lock, 20s, [&] { return begun == needed; }) ? CL_SUCCESS : CL_BUILD_PROGRAM_FAILURE;
  };
  const WithFaults with(faults);
  EXPECT_EQ(logged.context.prepare(plan), plan);
  EXPECT_EQ(logged.context.programs_built(), needed);
}

TEST(Builds, CallbacksStayOnTheCallersThread) {
  std::vector<std::thread::id> threads;
  const auto note = [&] { threads.push_back(std::this_thread::get_id()); };
  std::map<std::string, std::vector<std::uint8_t>> blobs;
  ContextOptions options;
  options.log = [&](LogLevel, const std::string&) { note(); };
  options.load_binary = [&](const std::string& name) { return note(), blobs[name]; };
  options.store_binary = [&](const std::string& name, const std::vector<std::uint8_t>& blob) { note(), blobs[name] = blob; };
  for (int i = 0; i < 2; ++i) {  // compiled, then loaded
    Context context(test_device().context(), test_device().device(), options);
    context.prepare(plan_in(context));
    EXPECT_EQ(context.programs_built() == 0, i == 1);
  }
  EXPECT_GE(threads.size(), 2 * 3 * 4U);
  for (const std::thread::id thread : threads) EXPECT_EQ(thread, std::this_thread::get_id());
}

// What the log throws ends prepare when no build is under way any more, and leaves nothing behind that is half done.
TEST(Builds, WhatTheLogThrowsWaitsForTheOthers) {
  std::string last_words;
  const auto log = [&](LogLevel, const std::string& line) {
    if (!last_words.empty() && line.find(last_words) == 0) throw std::runtime_error("enough");
  };
  Context context(test_device().context(), test_device().device(), {log});
  const DecodePlan plan = plan_in(context);
  std::atomic<int> begun{0}, ended{0};
  OpenClFaults faults;
  faults.build = [&](const std::string&) {
    ++begun;
    std::this_thread::sleep_for(50ms);
    ++ended;
    return CL_SUCCESS;
  };
  const WithFaults with(faults);
  for (const char* words : {"building kernel 'combine'", "built kernel 'route'", "built kernel 'combine'", "prepared"}) {
    last_words = words;
    EXPECT_THROW(context.prepare(plan), std::runtime_error) << words;
    EXPECT_EQ(begun, ended) << words;
  }
  last_words = "";
  EXPECT_EQ(context.prepare(plan), plan);
  Fixture fixture(many_programs(), context);
  cl::CommandQueue queue = test_device().queue();
  EXPECT_TRUE(fixture.good(fixture.run(queue)));
}

// One build that fails for want of memory takes none of the others with it, and is tried again.
TEST(Builds, AFailureCostsOneProgram) {
  Logged logged;
  const DecodePlan plan = plan_in(logged.context);
  const std::size_t needed = logged.context.launches(plan).size();
  {
    OpenClFaults faults;
    faults.build = [](const std::string& options) {
      return options.find("-DVEC=0") == std::string::npos ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
    };
    const WithFaults with(faults);
    const auto [code, message] = error_of([&] { logged.context.prepare(plan); });
    EXPECT_EQ(code, ErrorCode::kOutOfMemory);
    EXPECT_NE(message.find("the build of kernel 'decode'"), std::string::npos) << message;
    EXPECT_EQ(logged.context.programs_built(), needed - 1);
  }
  EXPECT_EQ(logged.context.prepare(plan), plan);
  EXPECT_EQ(logged.context.programs_built(), needed);
}

}  // namespace
}  // namespace clsink::harness
