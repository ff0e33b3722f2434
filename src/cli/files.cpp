// SPDX-License-Identifier: Apache-2.0
#include "cli/files.hpp"

#include <fmt/format.h>

#include <clsink/error.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace clsink::cli {

std::string read_file(const std::string& path, const char* what) {
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("{}{}: cannot be read", what, path));
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".part";
  {
    std::ofstream file(temporary, std::ios::binary);
    file << text << std::flush;
    if (!file) throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: cannot be written", path));
  }
  std::error_code failed;
  std::filesystem::rename(temporary, path, failed);
  if (failed) throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: {}", path, failed.message()));
}

}  // namespace clsink::cli
