// SPDX-License-Identifier: Apache-2.0
// Compiled programs that outlive their process: the next one compiles nothing; what is damaged, foreign or refused by the
// driver is compiled again and written anew; nothing that goes wrong there costs a plan.
#include "ocl/binary_cache.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>

#include "environment.hpp"
#include "error_setup.hpp"
#include "logged.hpp"
#include "many_programs.hpp"
#include "opencl_faults.hpp"
#include "temporary_folder.hpp"

namespace clsink::harness {
namespace {

namespace fs = std::filesystem;
using Blobs = std::map<std::string, Blob>;

ContextOptions in_folder(const fs::path& folder) {
  ContextOptions options;
  options.binary_cache_dir = folder.string();
  return options;
}

ContextOptions in_memory(Blobs& blobs) {
  ContextOptions options;
  options.load_binary = [&](const std::string& name) { return blobs.count(name) != 0 ? blobs[name] : Blob(); };
  options.store_binary = [&](const std::string& name, const Blob& blob) { blobs[name] = blob; };
  return options;
}

// Prepares the case and runs it: right answers, with so many programs compiled, of all that it needs.
std::size_t programs(const Context& context) {
  return context.launches(context.plan(many_programs().problem, *many_programs().variant)).size();
}

void expect_built(Logged& logged, std::size_t built) {
  Fixture fixture(many_programs(), logged.context);
  cl::CommandQueue queue = test_device().queue();
  EXPECT_TRUE(fixture.good(fixture.run(queue)));
  EXPECT_EQ(fixture.plan.variant, *many_programs().variant);
  EXPECT_EQ(logged.context.programs_built(), built);
  EXPECT_EQ(logged.count(LogLevel::kInfo, "building kernel '"), static_cast<int>(built));
  EXPECT_EQ(logged.count(LogLevel::kInfo, "loaded kernel '"), static_cast<int>(programs(logged.context) - built));
}
void expect_all_built(Logged& logged) { expect_built(logged, programs(logged.context)); }

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

Blob read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Blob(std::istreambuf_iterator<char>(file), {});
}
void write(const fs::path& path, const Blob& blob) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(blob.data()), static_cast<std::streamsize>(blob.size()));
}

struct Environment {
  explicit Environment(const fs::path& folder) { setenv("CLSINK_BINARY_CACHE", folder.c_str(), 1); }
  ~Environment() { unsetenv("CLSINK_BINARY_CACHE"); }
};

TEST(BinaryCache, IsOffByDefault) {
  Logged logged;
  expect_all_built(logged);
  for (const LogLevel level : {LogLevel::kInfo, LogLevel::kWarning}) EXPECT_EQ(logged.count(level, "binary cache"), 0);
}

// A plan builds what it needs and nothing else, the next process nothing.
TEST(BinaryCache, TheNextContextCompilesNothing) {
  TemporaryFolder folder;
  Logged cold(in_folder(folder.path / "cache"));
  EXPECT_EQ(cold.count(LogLevel::kInfo, "binary cache: folder '" + (folder.path / "cache").string() + "'"), 1);
  expect_all_built(cold);
  EXPECT_EQ(files_of(folder.path / "cache").size(), programs(cold.context));
  for (int i = 0; i < 2; ++i) {
    Logged warm(in_folder(folder.path / "cache"));
    expect_built(warm, 0);
    EXPECT_EQ(warm.count(LogLevel::kWarning, ""), 0);
  }
  EXPECT_EQ(cold.count(LogLevel::kWarning, ""), 0);
}

TEST(BinaryCache, TheEnvironmentNamesAFolderWhereTheOptionsDoNot) {
  TemporaryFolder folder;
  const fs::path environment = folder.path / "environment", option = folder.path / "option";
  const Environment set(environment);
  Logged cold, warm, named(in_folder(option));
  expect_all_built(cold);
  expect_built(warm, 0);
  expect_all_built(named);
  EXPECT_EQ(files_of(option).size(), files_of(environment).size());
  Blobs blobs;
  ContextOptions none;
  none.binary_cache_max_bytes = 0;
  Logged own(in_memory(blobs)), off(none);
  expect_all_built(own);
  EXPECT_EQ(blobs.size(), files_of(environment).size());
  expect_all_built(off);
  EXPECT_EQ(off.count(LogLevel::kInfo, "binary cache") + off.count(LogLevel::kWarning, ""), 0);
}

TEST(BinaryCache, BadFilesAreCompiledAndWrittenAnew) {
  TemporaryFolder folder;
  Logged first(in_folder(folder.path));
  expect_all_built(first);
  const std::vector<fs::path> files = files_of(folder.path);
  ASSERT_GE(files.size(), 2U);
  const Blob good = read(files[0]);
  Blob flipped = good, truncated = good;
  flipped[good.size() / 2] ^= 1;
  truncated.resize(good.size() / 2);
  const struct {
    Blob blob;
    const char* words;
  } bad[] = {{flipped, "its checksum does not fit"},
             {truncated, "key and binary have"},
             {{}, "it is empty"},
             {Blob(good.size(), 'x'), "it is no binary of clsink"},
             {read(files[1]), "it was made for something else"}};
  for (const auto& [blob, words] : bad) {
    SCOPED_TRACE(words);
    write(files[0], blob);
    Logged suspicious(in_folder(folder.path)), warm(in_folder(folder.path));
    expect_built(suspicious, 1);
    EXPECT_EQ(suspicious.count(LogLevel::kWarning, files[0].stem().string()), 1);
    EXPECT_EQ(suspicious.count(LogLevel::kWarning, words), 1);
    EXPECT_EQ(suspicious.count(LogLevel::kWarning, ""), 1);
    expect_built(warm, 0);
  }
}

TEST(BinaryCache, AFolderThatIsRefusedOrGoneCostsNoPlan) {
  TemporaryFolder folder;
  ASSERT_EQ(chmod(folder.path.c_str(), 0777), 0);
  Logged open(in_folder(folder.path)), gone(in_folder(folder.path / "gone"));
  EXPECT_EQ(open.count(LogLevel::kWarning, "folder '" + folder.path.string() + "' is not used: others may write to it"), 1);
  expect_all_built(open);
  fs::remove(folder.path / "gone");
  expect_all_built(gone);
  EXPECT_EQ(gone.count(LogLevel::kWarning, "is not written"), 1);
  for (const Logged* logged : {&open, &gone}) EXPECT_EQ(logged->count(LogLevel::kWarning, ""), 1);
  EXPECT_TRUE(files_of(folder.path).empty());
}

TEST(BinaryCache, TheFolderKeepsItsBound) {
  TemporaryFolder folder;
  Logged all(in_folder(folder.path));
  expect_all_built(all);
  std::uintmax_t largest = 0;
  for (const fs::path& file : files_of(folder.path)) largest = std::max(largest, fs::file_size(file));
  ContextOptions bounded = in_folder(folder.path);
  bounded.binary_cache_max_bytes = static_cast<std::int64_t>(largest);
  write(files_of(folder.path)[0], {});  // so that something is written
  Logged small(bounded);
  expect_built(small, 1);
  std::uintmax_t total = 0;
  for (const fs::path& file : files_of(folder.path)) total += fs::file_size(file);
  EXPECT_LE(total, largest);
  EXPECT_GT(total, 0U);
  EXPECT_EQ(small.count(LogLevel::kWarning, ""), 1);  // of the empty one
}

// What another source, other options or another driver made is never taken.
TEST(BinaryCache, TheKeyHoldsAllThatABinaryDependsOn) {
  Blobs blobs;
  const auto key = [&](const char* source, const char* kernel, const char* options) {
    const ContextOptions memory = in_memory(blobs);
    return BinaryCache(test_device().device, {memory.load_binary, memory.store_binary}, {}).key(source, kernel, options);
  };
  std::set<std::string> keys = {key("a", "k", "o"), key("b", "k", "o"), key("a", "l", "o"), key("a", "k", "p")};
  EXPECT_EQ(keys.count(key("a", "k", "o")), 1U);
  EXPECT_EQ(keys.size(), 4U);
  for (const cl_device_info question : {CL_DEVICE_NAME, CL_DEVICE_VENDOR, CL_DEVICE_VERSION, CL_DRIVER_VERSION}) {
    OpenClFaults faults;
    faults.device_says(question, std::string("another"));
    const WithFaults with(faults);
    keys.insert(key("a", "k", "o"));
  }
  EXPECT_EQ(keys.size(), 8U);
  for (const char* words : {"clsink binary 1\n", "platform=", "platform version=", "address bits="}) {
    EXPECT_NE(keys.begin()->find(words), std::string::npos) << words;
  }
}

TEST(BinaryCache, BinariesThatTheDriverRefusesAreBuiltFromSource) {
  OpenClFaults not_created, not_built, not_launched;
  not_created.create_from_binary = [] { return CL_INVALID_BINARY; };
  not_built.build_binary = [] { return CL_BUILD_PROGRAM_FAILURE; };
  not_launched.launch = [](cl_kernel kernel, std::size_t) {
    return is_from_binary(kernel) ? CL_INVALID_KERNEL_ARGS : CL_SUCCESS;
  };
  Blobs blobs;
  Logged cold(in_memory(blobs));
  expect_all_built(cold);
  for (const auto& [faults, words, loads] :
       {std::tuple(not_created, "CL_INVALID_BINARY", false), std::tuple(not_built, "CL_BUILD_PROGRAM_FAILURE", false),
        std::tuple(not_launched, "CL_INVALID_KERNEL_ARGS", true)}) {
    SCOPED_TRACE(words);
    const Blobs before = blobs;
    ContextOptions options = in_memory(blobs);
    int stored = 0;
    options.store_binary = [&](const std::string& name, const Blob&) { stored += static_cast<int>(before.count(name)); };
    const WithFaults with(faults);
    Logged refusing(options);
    const DecodePlan forced = refusing.context.plan(many_programs().problem, *many_programs().variant);
    const auto needed = programs(refusing.context);
    EXPECT_EQ(refusing.context.prepare(forced), forced);
    EXPECT_EQ(refusing.context.programs_built(), needed);
    EXPECT_EQ(stored, static_cast<int>(needed));  // anew
    EXPECT_EQ(refusing.count(LogLevel::kWarning, words), loads ? 1 : static_cast<int>(needed));
    EXPECT_EQ(refusing.count(LogLevel::kInfo, "loaded kernel"), loads ? static_cast<int>(needed) : 0);
    Fixture fixture(many_programs(), refusing.context);
    cl::CommandQueue queue = test_device().queue();
    EXPECT_TRUE(fixture.good(fixture.run(queue)));
  }
}

TEST(BinaryCache, ADriverWithoutBinariesCostsNoPlan) {
  OpenClFaults faults;
  faults.get_binary = [] { return CL_INVALID_OPERATION; };
  const WithFaults with(faults);
  Blobs blobs;
  Logged logged(in_memory(blobs));
  expect_all_built(logged);
  EXPECT_EQ(logged.count(LogLevel::kWarning, "is not written: clGetProgramInfo"), static_cast<int>(programs(logged.context)));
  EXPECT_TRUE(blobs.empty());
}

TEST(BinaryCache, TheCallerMayKeepTheBlobs) {
  Blobs blobs;
  ContextOptions options = in_memory(blobs);
  options.store_binary = [&](const std::string& name, const Blob& blob) { EXPECT_TRUE(blobs.emplace(name, blob).second); };
  Logged cold(options), warm(options);  // each is stored once
  expect_all_built(cold);
  EXPECT_EQ(blobs.size(), programs(cold.context));
  for (const auto& [name, blob] : blobs) {
    EXPECT_EQ(name.size(), 32U);
    EXPECT_EQ(name.find_first_not_of("0123456789abcdef"), std::string::npos) << name;
  }
  expect_built(warm, 0);

  TemporaryFolder folder;  // a file is the same blob under the same name
  Logged elsewhere(in_folder(folder.path));
  for (const auto& [name, blob] : blobs) {
    write(folder.path / (name + ".clsinkbin"), blob);
    ASSERT_EQ(chmod((folder.path / (name + ".clsinkbin")).c_str(), 0600), 0);
  }
  expect_built(elsewhere, 0);

  blobs.begin()->second = blobs.rbegin()->second;
  Logged wrong(in_memory(blobs));
  expect_built(wrong, 1);
  EXPECT_EQ(wrong.count(LogLevel::kWarning, "it was made for something else"), 1);

  ContextOptions reading = in_memory(blobs), writing = in_memory(blobs);
  reading.store_binary = nullptr;
  writing.load_binary = nullptr;
  Logged reader(reading), writer(writing);
  expect_built(reader, 0);
  expect_all_built(writer);
}

TEST(BinaryCache, WhatTheCallersStorageThrowsEndsPrepare) {
  Blobs blobs;
  for (const bool at_load : {true, false}) {
    bool broken = true;
    ContextOptions options = in_memory(blobs);
    const auto check = [&] {
      if (broken) throw std::runtime_error("no storage");
    };
    if (at_load) {
      options.load_binary = [&](const std::string&) { return check(), Blob(); };
    } else {
      options.store_binary = [&](const std::string& name, const Blob& blob) { check(), blobs[name] = blob; };
      options.load_binary = nullptr;
    }
    Logged logged(options);
    const DecodePlan plan = logged.context.plan(many_programs().problem, *many_programs().variant);
    EXPECT_THROW(logged.context.prepare(plan), std::runtime_error);
    broken = false;
    blobs.clear();
    expect_all_built(logged);
    EXPECT_EQ(blobs.size(), programs(logged.context));
  }
}

TEST(BinaryCache, BadOptionsAreNamed) {
  ContextOptions negative, both = in_folder("/tmp/never");
  negative.binary_cache_max_bytes = -1;
  both.store_binary = [](const std::string&, const Blob&) {};
  for (const auto& [options, words] : {std::pair(negative, "binary_cache_max_bytes is -1, must be 0 or more"),
                                       std::pair(both, "binary_cache_dir is '/tmp/never', must be empty beside")}) {
    const auto [code, message] = error_of([&, &given = options] { Logged{given}; });
    EXPECT_EQ(code, ErrorCode::kInvalidProblem);
    EXPECT_NE(message.find(words), std::string::npos) << message;
  }
  EXPECT_FALSE(fs::exists("/tmp/never"));
}

std::size_t built_by_c(const clsink_context_options& options) {
  const ContextHandle context = make_context(test_device(), &options);
  const PlanHandle plan = make_plan(context.get(), to_string(many_programs().problem));
  EXPECT_EQ(clsink_prepare(context.get(), plan.get()), CLSINK_OK) << clsink_last_error();
  std::size_t built = 0;
  EXPECT_EQ(clsink_programs_built(context.get(), &built), CLSINK_OK);
  return built;
}

TEST(BinaryCache, TheCApiHasTheSame) {
  TemporaryFolder folder;
  const std::string path = (folder.path / "cache").string();
  clsink_context_options options;
  clsink_context_options_init(&options, sizeof options);
  EXPECT_EQ(options.binary_cache_max_bytes, ContextOptions{}.binary_cache_max_bytes);
  options.binary_cache_dir = path.c_str();
  const std::size_t needed = built_by_c(options);
  EXPECT_GT(needed, 0U);
  EXPECT_EQ(built_by_c(options), 0U);
  options.binary_cache_max_bytes = 0;
  EXPECT_EQ(built_by_c(options), needed);
  options.struct_size = offsetof(clsink_context_options, binary_cache_dir);  // an older caller's
  EXPECT_EQ(built_by_c(options), needed);

  Blobs blobs;
  clsink_context_options_init(&options, sizeof options);
  options.binary_user_data = &blobs;
  options.store_binary = [](const char* name, const void* blob, std::size_t size, void* user_data) {
    const auto* bytes = static_cast<const std::uint8_t*>(blob);
    (*static_cast<Blobs*>(user_data))[name] = Blob(bytes, bytes + size);
  };
  EXPECT_EQ(built_by_c(options), needed);
  EXPECT_EQ(blobs.size(), needed);
  options.load_binary = [](const char* name, void* blob, std::size_t capacity, void* user_data) {
    const Blob& kept = (*static_cast<Blobs*>(user_data))[name];
    if (capacity >= kept.size()) std::copy(kept.begin(), kept.end(), static_cast<std::uint8_t*>(blob));
    return kept.size();
  };
  EXPECT_EQ(built_by_c(options), 0U);
  options.load_binary = [](const char* name, void* blob, std::size_t, void* user_data) {
    return (*static_cast<Blobs*>(user_data))[name].size() + (blob != nullptr ? 1 : 0);  // grown since it was asked
  };
  EXPECT_EQ(built_by_c(options), needed);

  options.binary_cache_max_bytes = -1;
  clsink_context* context = nullptr;
  EXPECT_EQ(clsink_context_create(test_device().context(), test_device().device(), &options, &context), CLSINK_INVALID_PROBLEM);
  EXPECT_NE(std::string(clsink_last_error()).find("binary_cache_max_bytes is -1"), std::string::npos) << clsink_last_error();
}

// What a process of the next test does.
TEST(BinaryCache, OneProcess) {
  Logged logged;
  Fixture fixture(many_programs(), logged.context);
  cl::CommandQueue queue = test_device().queue();
  EXPECT_TRUE(fixture.good(fixture.run(queue)));
  EXPECT_EQ(logged.count(LogLevel::kWarning, ""), 0);
}

TEST(BinaryCache, TwoProcessesAtOnce) {
  TemporaryFolder folder;
  const Environment set(folder.path / "cache");
  const std::string one = fs::read_symlink("/proc/self/exe").string() + " --gtest_filter=BinaryCache.OneProcess > /dev/null";
  // Leaks are this process's matter: looking for them while PoCL's threads end, LeakSanitizer may end itself.
  const std::string quiet = "export ASAN_OPTIONS=detect_leaks=0";
  const std::string both = fmt::format("{}; {} & first=$!; {}; second=$?; wait $first && exit $second", quiet, one, one);
  EXPECT_EQ(std::system(both.c_str()), 0);
  Logged warm;
  expect_built(warm, 0);
  EXPECT_EQ(files_of(folder.path / "cache").size(), programs(warm.context));
}

}  // namespace
}  // namespace clsink::harness
