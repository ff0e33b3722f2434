// SPDX-License-Identifier: Apache-2.0
// A folder of blobs, "NAME.clsinkbin" each, that any number of processes may use at once. Whoever can write here has the
// process run his code: a folder or file that belongs to somebody else, or that others may write to, is not used. What fails
// is told to `warn` and never thrown: programs are compiled then.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ocl/binary_blob.hpp"

namespace clsink {

/// Where blobs are kept, by name. A function that is not there finds nothing, or keeps nothing.
struct BinaryStorage {
  std::function<Blob(const std::string& name)> load;  ///< empty if there is none
  std::function<void(const std::string& name, const Blob& blob)> store;
};

/// Opens the folder, created with mode 0700 if it is missing, and holds it open: a path that is exchanged later changes
/// nothing. Files beyond `max_bytes` are removed, the longest unused first. Loads and stores nothing if the folder is refused.
BinaryStorage open_binary_folder(std::string path, std::int64_t max_bytes, const std::function<void(const std::string&)>& warn);

/// The folder that the environment variable CLSINK_BINARY_CACHE names, or "". A program with more rights than its user has
/// does not listen to its user's environment.
std::string binary_folder_of_environment();

}  // namespace clsink
