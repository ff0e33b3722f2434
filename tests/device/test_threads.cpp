// SPDX-License-Identifier: Apache-2.0
// Threads with contexts, queues and plans, shared and of their own: also run under ThreadSanitizer.
#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "environment.hpp"
#include "error_setup.hpp"

namespace clsink::harness {
namespace {

const char* const kCase = "f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=700 route=mean near=1,16 @ lens=700,64,301 data=sink seed=";

Case numbered(int seed) { return parse_case(kCase + std::to_string(seed)); }

TEST(Threads, ShareAContext) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::vector<std::string> failures(kThreads);
  test_context();
  for (int id = 0; id < kThreads; ++id) {
    threads.emplace_back([id, &failures] {
      try {
        Fixture fixture(numbered(id));
        cl::CommandQueue queue = id % 2 == 0 ? test_device().queue() : test_queue(false);
        for (int i = 0; i < 10; ++i) {
          const testing::AssertionResult result = fixture.good(fixture.run(queue));
          if (!result) failures[id] = result.message();
        }
      } catch (const std::exception& error) {
        failures[id] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
}

// Threads that prepare the same and different plans at once end up with every program once.
TEST(Threads, PrepareAtOnce) {
  Context shared(test_device().context(), test_device().device()), alone(test_device().context(), test_device().device());
  const DecodeProblem first = numbered(1).problem;
  DecodeProblem second = first;
  second.head_dim = 32;
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([&, id] { shared.prepare(shared.plan(id % 2 == 0 ? first : second)); });
  }
  for (std::thread& thread : threads) thread.join();
  alone.prepare(alone.plan(first));
  alone.prepare(alone.plan(second));
  EXPECT_EQ(shared.programs_built(), alone.programs_built());
  Fixture fixture(numbered(5), shared);
  cl::CommandQueue queue = test_device().queue();
  EXPECT_TRUE(fixture.good(fixture.run(queue)));
}

// Every thread makes a context, plans, prepares and runs on a queue of its own, while all of them do so on a shared context.
TEST(Threads, ContextsOfTheirOwnAndAShared) {
  constexpr int kThreads = 4;
  std::mutex mutex;
  std::vector<std::string> log;
  const auto keep = [&](LogLevel, const std::string& line) {
    const std::lock_guard<std::mutex> lock(mutex);
    log.push_back(line);
  };
  Context shared(test_device().context(), test_device().device(), {keep});
  std::array<std::string, kThreads> failures;
  std::vector<std::thread> threads;
  for (int id = 0; id < kThreads; ++id) {
    threads.emplace_back([&, id] {
      try {
        Context own(test_device().context(), test_device().device(), {keep});
        Fixture in_own(numbered(id), own), in_shared(numbered(id + 10), shared);
        cl::CommandQueue queue = test_queue(id % 2 == 0);
        for (int i = 0; i < 5; ++i) {
          for (Fixture* fixture : {&in_own, &in_shared}) {
            const testing::AssertionResult result = fixture->good(fixture->run(queue));
            if (!result) failures[id] = result.message();
          }
        }
      } catch (const std::exception& error) {
        failures[id] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
  EXPECT_FALSE(log.empty());
}

// The last error belongs to the thread that made it.
TEST(Threads, CErrorsAreOfTheirThread) {
  const ContextHandle context = make_context(test_device());
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([&, id] {
      const std::string value = std::to_string(1000 + id), text = "f16 hq=1 hkv=1 d=" + value + " b=1 kv=1";
      clsink_problem problem;
      clsink_problem_init(&problem, sizeof problem);
      for (int i = 0; i < 200; ++i) {
        clsink_plan* plan = nullptr;
        if (clsink_problem_parse(text.c_str(), &problem) != CLSINK_OK ||
            clsink_plan_create(context.get(), &problem, nullptr, &plan) != CLSINK_INVALID_PROBLEM ||
            std::string(clsink_last_error()).find("head_dim is " + value) == std::string::npos) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace clsink::harness
