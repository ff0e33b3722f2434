// SPDX-License-Identifier: Apache-2.0
// Binaries of compiled programs by all that they depend on: source, options, device, driver and platform. Blobs come from a
// storage that is not trusted to be right, only to be the caller's: each is checked before a driver sees it.
#pragma once

#include <CL/opencl.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "ocl/binary_blob.hpp"
#include "ocl/binary_folder.hpp"

namespace clsink {

class BinaryCache {
 public:
  /// `warn` is told which blobs are not used and why.
  BinaryCache(const cl::Device& device, BinaryStorage storage, std::function<void(const std::string&)> warn);

  /// The key of a program of this device, as text.
  std::string key(std::string_view source, const std::string& kernel, const std::string& options) const;

  std::optional<Blob> load(const std::string& key) const;
  void store(const std::string& key, const Blob& binary) const;
  bool keeps() const { return static_cast<bool>(storage_.store); }

 private:
  std::string device_;
  BinaryStorage storage_;
  std::function<void(const std::string&)> warn_;
};

}  // namespace clsink
