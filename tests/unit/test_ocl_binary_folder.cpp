// SPDX-License-Identifier: Apache-2.0
// The folder of the binary cache: who may use it, what is read, what is removed, several processes at once.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <chrono>
#include <fstream>
#include <set>

#include "ocl/binary_folder.hpp"
#include "temporary_folder.hpp"

namespace clsink {
namespace {

namespace fs = std::filesystem;

constexpr char kName[] = "0123456789abcdef0123456789abcdef";
constexpr std::int64_t kPlenty = 1 << 20;

class BinaryFolder : public testing::Test {
 protected:
  BinaryStorage open(const fs::path& path, std::int64_t max_bytes = kPlenty) {
    return open_binary_folder(path.string(), max_bytes, [this](const std::string& line) { warnings.push_back(line); });
  }
  BinaryStorage open(std::int64_t max_bytes = kPlenty) { return open(folder.path / "cache", max_bytes); }
  fs::path file(const std::string& name = kName) const { return folder.path / "cache" / (name + ".clsinkbin"); }

  // What was warned of since the last call, which must be one thing.
  std::string warning() {
    EXPECT_EQ(warnings.size(), 1U);
    std::string line = warnings.empty() ? "" : warnings[0];
    warnings.clear();
    return line;
  }
  void expect_refused(const fs::path& path, const std::string& words) {
    const BinaryStorage storage = open(path);
    EXPECT_FALSE(storage.load || storage.store) << path;
    const std::string line = warning();
    EXPECT_NE(line.find("folder '" + path.string() + "' is not used"), std::string::npos) << line;
    EXPECT_NE(line.find(words), std::string::npos) << line;
  }
  void expect_file_refused(const BinaryStorage& storage, const std::string& words) {
    EXPECT_EQ(storage.load(kName), Blob());
    const std::string line = warning();
    EXPECT_NE(line.find(std::string(kName) + ".clsinkbin is not used"), std::string::npos) << line;
    EXPECT_NE(line.find(words), std::string::npos) << line;
  }
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder.path / "cache"))
      names.insert(entry.path().filename());
    return names;
  }

  TemporaryFolder folder;
  std::vector<std::string> warnings;
};

mode_t mode_of(const fs::path& path) {
  struct stat status = {};
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777U;
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
}

void used_ago(const fs::path& path, std::chrono::seconds ago) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - ago);
}

// Runs `body` in another process; whether it returned true.
template <typename Body>
pid_t start_process(const Body& body) {
  const pid_t process = fork();
  if (process == 0) _exit(body() ? 0 : 1);
  return process;
}
bool succeeded(pid_t process) {
  int status = 0;
  return waitpid(process, &status, 0) == process && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(BinaryFolder, KeepsBlobs) {
  const Blob blob{1, 2, 3};
  EXPECT_EQ(open().load(kName), Blob());
  open().store(kName, blob);
  EXPECT_EQ(open().load(kName), blob);
  open().store(kName, {4});
  EXPECT_EQ(open().load(kName), Blob{4});
  EXPECT_EQ(names(), std::set<std::string>{std::string(kName) + ".clsinkbin"});
  EXPECT_EQ(warnings, std::vector<std::string>());
}

TEST_F(BinaryFolder, IsCreatedForTheUserAlone) {
  const mode_t before = umask(0);
  open(folder.path / "a/b/").store(kName, {1});
  umask(before);
  EXPECT_EQ(mode_of(folder.path / "a"), 0700U);
  EXPECT_EQ(mode_of(folder.path / "a/b"), 0700U);
  EXPECT_EQ(mode_of(folder.path / "a/b" / (std::string(kName) + ".clsinkbin")), 0600U);
  EXPECT_EQ(warnings, std::vector<std::string>());
}

TEST_F(BinaryFolder, IsRefusedWhereOthersMayWrite) {
  const fs::path cache = folder.path / "cache";
  open();
  for (const mode_t mode : {0777U, 0770U, 0702U, 01777U}) {
    ASSERT_EQ(chmod(cache.c_str(), mode), 0);
    expect_refused(cache, fmt::format("others may write to it (mode {:04o}", mode));
  }
  ASSERT_EQ(chmod(cache.c_str(), 0755), 0);
  EXPECT_TRUE(open().load);
  EXPECT_EQ(warnings, std::vector<std::string>());
}

TEST_F(BinaryFolder, IsRefusedIfItBelongsToSomebodyElse) {
  const fs::path cache = folder.path / "cache";
  if (geteuid() != 0) {
    expect_refused("/", "it belongs to user 0, not to user " + std::to_string(geteuid()));
    return;
  }
  open();
  ASSERT_EQ(chown(cache.c_str(), 12345, static_cast<gid_t>(-1)), 0);
  expect_refused(cache, "it belongs to user 12345, not to user 0");
}

TEST_F(BinaryFolder, IsRefusedIfItIsNone) {
  const fs::path link = folder.path / "link", text = folder.path / "text";
  open();
  fs::create_directory_symlink(folder.path / "cache", link);
  write(text, "no folder");
  expect_refused(link, "it is a symbolic link");
  open(link.string() + "/");
  EXPECT_NE(warning().find("it is a symbolic link"), std::string::npos);
  expect_refused(text, "Not a directory");
  expect_refused(text / "below", "Not a directory");
  expect_refused("/proc/clsink", "No such file");
}

TEST_F(BinaryFolder, FilesThatOthersMayHaveWrittenAreNotRead) {
  const BinaryStorage storage = open();
  storage.store(kName, {1});
  ASSERT_EQ(chmod(file().c_str(), 0622), 0);
  expect_file_refused(storage, "others may write to it (mode 0622");
  if (geteuid() == 0) {
    ASSERT_EQ(chmod(file().c_str(), 0600), 0);
    ASSERT_EQ(chown(file().c_str(), 12345, static_cast<gid_t>(-1)), 0);
    expect_file_refused(storage, "it belongs to user 12345");
  }
  storage.store(kName, {2});  // and are replaced
  EXPECT_EQ(storage.load(kName), Blob{2});
}

TEST_F(BinaryFolder, WhatIsNoFileIsNotRead) {
  const BinaryStorage storage = open(1000);
  write(folder.path / "elsewhere", "text");
  fs::create_symlink(folder.path / "elsewhere", file());
  expect_file_refused(storage, "symbolic links");
  fs::remove(file());
  ASSERT_EQ(mkfifo(file().c_str(), 0600), 0);
  expect_file_refused(storage, "it is no file");  // and nothing waits for a writer
  fs::remove(file());
  fs::create_directory(file());
  expect_file_refused(storage, "it is no file");
  fs::remove(file());
  write(file(), "");
  expect_file_refused(storage, "it is empty");
  write(file(), std::string(1001, 'x'));
  expect_file_refused(storage, "it has 1001 bytes, the folder's bound is 1000");
}

TEST_F(BinaryFolder, TheLongestUnusedGoFirst) {
  const BinaryStorage storage = open(1000);
  for (const char* name : {"a", "b", "c"}) storage.store(name, Blob(300));
  used_ago(file("a"), std::chrono::hours(3));
  used_ago(file("b"), std::chrono::hours(2));
  used_ago(file("c"), std::chrono::hours(1));
  write(folder.path / "cache/notes.txt", std::string(5000, 'x'));  // not ours: neither counted nor removed
  write(file("d-1-2"), std::string(50, 'x'));                      // of a process that was killed
  used_ago(file("d-1-2"), std::chrono::hours(4));
  EXPECT_EQ(storage.load("a").size(), 300U);  // used now
  storage.store("e", Blob(100));
  EXPECT_EQ(names(), (std::set<std::string>{"a.clsinkbin", "b.clsinkbin", "c.clsinkbin", "e.clsinkbin", "notes.txt"}));
  storage.store("f", Blob(300));
  EXPECT_EQ(names(), (std::set<std::string>{"a.clsinkbin", "c.clsinkbin", "e.clsinkbin", "f.clsinkbin", "notes.txt"}));
  storage.store("g", Blob(1000));  // exactly all
  EXPECT_EQ(names(), (std::set<std::string>{"g.clsinkbin", "notes.txt"}));
  EXPECT_EQ(warnings, std::vector<std::string>());
  storage.store("h", Blob(1001));
  EXPECT_NE(warning().find("it has 1001 bytes, the folder's bound is 1000"), std::string::npos);
  EXPECT_EQ(names(), (std::set<std::string>{"g.clsinkbin", "notes.txt"}));
}

TEST_F(BinaryFolder, WhatCannotBeWrittenIsToldOnce) {
  const BinaryStorage storage = open();
  fs::remove(folder.path / "cache");
  for (int i = 0; i < 3; ++i) storage.store(kName, {1});
  EXPECT_NE(warning().find(std::string(kName) + ".clsinkbin is not written: No such file"), std::string::npos);
  EXPECT_EQ(storage.load(kName), Blob());
  EXPECT_EQ(warnings, std::vector<std::string>());
}

// In a process of its own, as for root every folder can be written.
TEST_F(BinaryFolder, AReadOnlyFolderIsReadAllTheSame) {
  open().store(kName, {1});
  const fs::path cache = folder.path / "cache";
  const uid_t user = geteuid() == 0 ? 65534 : geteuid();
  for (const fs::path& path : {folder.path, cache, file()}) ASSERT_EQ(chown(path.c_str(), user, static_cast<gid_t>(-1)), 0);
  ASSERT_EQ(chmod(cache.c_str(), 0500), 0);
  EXPECT_TRUE(succeeded(start_process([&] {
    if (geteuid() == 0 && setuid(user) != 0) return false;
    const BinaryStorage storage = open();
    const bool read = storage.load(kName) == Blob{1} && warnings.empty();
    for (const char* name : {"a", "b"}) storage.store(name, {2});
    return read && warnings.size() == 1 &&
           warnings[0].find("a.clsinkbin is not written: Permission denied") != std::string::npos;
  })));
  EXPECT_EQ(names().size(), 1U);
  ASSERT_EQ(chmod(cache.c_str(), 0700), 0);
}

TEST_F(BinaryFolder, AFullDiskLeavesNothingBehind) {
  open();
  EXPECT_TRUE(succeeded(start_process([&] {
    const rlimit limit = {1000, 1000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    open().store(kName, Blob(2000));
    return warnings.size() == 1 && warnings[0].find("is not written: File too large") != std::string::npos;
  })));
  EXPECT_EQ(names(), std::set<std::string>());
}

// Readers never see half a file, whoever writes, replaces and removes at the same time.
TEST_F(BinaryFolder, SeveralProcessesAtOnce) {
  const auto blob_of = [](int name, int process) {
    Blob binary(static_cast<std::size_t>(1000 + 500 * name + process));
    binary.back() = static_cast<std::uint8_t>(name);
    return encode_blob(std::to_string(name), binary);
  };
  std::vector<pid_t> processes;
  for (int process = 0; process < 4; ++process) {
    processes.push_back(start_process([&] {
      const BinaryStorage storage = open(6000);  // two or three of the five
      for (int i = 0; i < 400; ++i) {
        const int name = (i + process) % 5;
        storage.store(std::to_string(name), blob_of(name, process));
        const Blob blob = storage.load(std::to_string((i + 2) % 5));
        if (!blob.empty() && !decode_blob(std::to_string((i + 2) % 5), blob).refusal.empty()) return false;
      }
      return warnings.empty();
    }));
  }
  for (const pid_t process : processes) EXPECT_TRUE(succeeded(process));
  const BinaryStorage storage = open(6000);
  storage.store("0", blob_of(0, 0));
  std::uintmax_t bytes = 0;
  for (const std::string& name : names()) bytes += fs::file_size(folder.path / "cache" / name);
  EXPECT_LE(bytes, 6000U);
  EXPECT_EQ(storage.load("0"), blob_of(0, 0));
}

TEST_F(BinaryFolder, TheEnvironmentNamesIt) {
  ASSERT_EQ(unsetenv("CLSINK_BINARY_CACHE"), 0);
  EXPECT_EQ(binary_folder_of_environment(), "");
  ASSERT_EQ(setenv("CLSINK_BINARY_CACHE", "/some/where", 1), 0);
  EXPECT_EQ(binary_folder_of_environment(), "/some/where");
  ASSERT_EQ(unsetenv("CLSINK_BINARY_CACHE"), 0);
}

}  // namespace
}  // namespace clsink
