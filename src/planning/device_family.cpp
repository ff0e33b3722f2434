// SPDX-License-Identifier: Apache-2.0
#include "planning/device_family.hpp"

#include <algorithm>
#include <cctype>

namespace clsink {

namespace {

std::string in_small_letters(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

DeviceFamily device_family(const DeviceFacts& facts) {
  // The platform decides before the vendor: it names the compiler, and PoCL reports the CPU's maker as vendor.
  const std::string text = in_small_letters(facts.platform + "|" + facts.vendor);
  const struct {
    const char* part;
    const char* vendor;
  } known[] = {{"portable computing language", "pocl"}, {"rusticl", "mesa"}, {"nvidia", "nvidia"},
               {"advanced micro devices", "amd"},       {"amd", "amd"},      {"intel", "intel"}};
  DeviceFamily family{"unknown", facts.is_cpu ? "cpu" : "gpu"};
  for (const auto& row : known) {
    if (text.find(row.part) != std::string::npos) {
      family.vendor = row.vendor;
      break;
    }
  }
  return family;
}

bool builds_at_once(const DeviceFacts& facts) { return in_small_letters(facts.platform).find("oclgrind") == std::string::npos; }

}  // namespace clsink
