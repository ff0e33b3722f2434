// SPDX-License-Identifier: Apache-2.0
#include "ocl/binary_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace clsink {
namespace {

constexpr std::string_view kSuffix = ".clsinkbin";  // nothing else is ever read or removed

std::string last_error() { return std::generic_category().message(errno); }

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int operator()() const { return number_; }
  bool good() const { return number_ >= 0; }

 private:
  int number_;
};

// Why others could have written it; empty if they could not.
std::string why_not_private(const struct stat& status) {
  if (status.st_uid != geteuid()) return fmt::format("it belongs to user {}, not to user {}", status.st_uid, geteuid());
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fmt::format("others may write to it (mode {:04o}; chmod go-w)", status.st_mode & 07777U);
  }
  return "";
}

bool write_all(int file, const Blob& blob) {
  for (std::size_t done = 0; done < blob.size();) {
    const ssize_t count = write(file, blob.data() + done, blob.size() - done);
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  return true;
}

// As many bytes as there are, at most the blob's; they may have become fewer since its size was asked.
bool read_all(int file, Blob& blob) {
  std::size_t done = 0;
  while (done < blob.size()) {
    const ssize_t count = ::read(file, blob.data() + done, blob.size() - done);
    if (count < 0 && errno != EINTR) return false;
    if (count == 0) break;
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  blob.resize(done);
  return true;
}

class BinaryFolder {
 public:
  using Warn = std::function<void(const std::string&)>;
  BinaryFolder(std::string path, Descriptor folder, std::int64_t max_bytes, Warn warn)
      : path_(std::move(path)),
        folder_(std::move(folder)),
        max_bytes_(static_cast<std::uint64_t>(max_bytes)),
        warn_(std::move(warn)) {}

  Blob load(const std::string& name) const {
    const std::string file_name = name + std::string(kSuffix);
    const auto refuse = [&](const std::string& why) {
      warn_(fmt::format("binary cache: {}/{} is not used: {}", path_, file_name, why));
      return Blob();
    };
    const Descriptor file(openat(folder_(), file_name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file.good()) return errno == ENOENT ? Blob() : refuse(last_error());
    struct stat status = {};
    if (fstat(file(), &status) != 0) return refuse(last_error());
    if (!S_ISREG(status.st_mode)) return refuse("it is no file");
    if (const std::string why = why_not_private(status); !why.empty()) return refuse(why);
    const auto bytes = static_cast<std::uint64_t>(status.st_size);
    if (bytes == 0) return refuse("it is empty");
    if (bytes > max_bytes_) return refuse(fmt::format("it has {} bytes, the folder's bound is {}", bytes, max_bytes_));
    Blob blob(bytes);
    if (!read_all(file(), blob)) return refuse(last_error());
    futimens(file(), nullptr);  // used now; where that is not allowed the file only counts as older than it is
    return blob;
  }

  void store(const std::string& name, const Blob& blob) {
    const std::string why = written(name, blob);
    // Once: what keeps the first from being written mostly keeps all others too.
    if (!why.empty() && !warned_.exchange(true)) {
      warn_(fmt::format("binary cache: {}/{}{} is not written: {}", path_, name, kSuffix, why));
    }
  }

 private:
  // Under a name of its own and renamed, so that nobody ever sees half a file. After a power failure a file may be short or
  // empty all the same: the checksum tells. Returns what went wrong.
  std::string written(const std::string& name, const Blob& blob) const {
    if (blob.size() > max_bytes_) return fmt::format("it has {} bytes, the folder's bound is {}", blob.size(), max_bytes_);
    // The suffix lets what a killed process leaves behind be removed when it is old.
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    const std::string temporary = fmt::format("{}-{}-{}{}", name, getpid(), now, kSuffix);
    {
      const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
      const Descriptor file(openat(folder_(), temporary.c_str(), flags, S_IRUSR | S_IWUSR));
      if (!file.good()) return last_error();
      if (!write_all(file(), blob)) return discarded(temporary);
    }
    const std::string file_name = name + std::string(kSuffix);
    if (renameat(folder_(), temporary.c_str(), folder_(), file_name.c_str()) != 0) {
      return errno == ENOENT ? "" : discarded(temporary);  // gone: the oldest for another process, in a folder that small
    }
    return remove_oldest();
  }

  std::string discarded(const std::string& temporary) const {
    std::string why = last_error();
    unlinkat(folder_(), temporary.c_str(), 0);
    return why;
  }

  // Until the rest keeps the bound. Another process may do the same: a file that is gone already is as good.
  std::string remove_oldest() const {
    struct File {
      struct timespec used;
      std::string name;
      std::uint64_t bytes;
    };
    std::vector<File> files;
    std::uint64_t total = 0;
    const int copy = openat(folder_(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // closedir closes it
    if (copy < 0) return last_error();
    const std::unique_ptr<DIR, int (*)(DIR*)> list(fdopendir(copy), closedir);
    if (list == nullptr) return last_error();
    while (const struct dirent* entry = readdir(list.get())) {
      const std::string name = entry->d_name;
      struct stat status = {};
      if (name.size() <= kSuffix.size() || name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) != 0) continue;
      if (fstatat(folder_(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode)) continue;
      files.push_back({status.st_mtim, name, static_cast<std::uint64_t>(status.st_size)});
      total += files.back().bytes;
    }
    std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
      return std::tie(a.used.tv_sec, a.used.tv_nsec, a.name) < std::tie(b.used.tv_sec, b.used.tv_nsec, b.name);
    });
    for (auto file = files.begin(); total > max_bytes_ && file != files.end(); ++file) {
      if (unlinkat(folder_(), file->name.c_str(), 0) != 0 && errno != ENOENT) return last_error();
      total -= file->bytes;
    }
    return "";
  }

  std::string path_;
  Descriptor folder_;
  std::uint64_t max_bytes_;
  Warn warn_;
  std::atomic<bool> warned_{false};
};

// Creates what is missing of the path, for this user alone. Whether it is there shows when it is opened.
void create_folders(const std::filesystem::path& path) {
  std::filesystem::path made;
  for (const std::filesystem::path& part : path) {
    made /= part;
    mkdir(made.c_str(), S_IRWXU);
  }
}

}  // namespace

BinaryStorage open_binary_folder(std::string path, std::int64_t max_bytes,
                                 const std::function<void(const std::string&)>& warn) {
  const auto refuse = [&](const std::string& why) {
    warn(fmt::format("binary cache: folder '{}' is not used: {}", path, why));
    return BinaryStorage();
  };
  while (path.size() > 1 && path.back() == '/') path.pop_back();  // behind a slash a link would be followed
  create_folders(path);
  struct stat status = {};
  if (lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) return refuse("it is a symbolic link");
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.good() || fstat(folder(), &status) != 0) return refuse(last_error());
  if (const std::string why = why_not_private(status); !why.empty()) return refuse(why);
  const auto kept = std::make_shared<BinaryFolder>(path, std::move(folder), max_bytes, warn);
  return {[kept](const std::string& name) { return kept->load(name); },
          [kept](const std::string& name, const Blob& blob) { kept->store(name, blob); }};
}

std::string binary_folder_of_environment() {
  if (geteuid() != getuid() || getegid() != getgid()) return "";
  const char* path = std::getenv("CLSINK_BINARY_CACHE");
  return path != nullptr ? path : "";
}

}  // namespace clsink
