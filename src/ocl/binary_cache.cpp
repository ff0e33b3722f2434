// SPDX-License-Identifier: Apache-2.0
#include "ocl/binary_cache.hpp"

#include <fmt/format.h>

#include <utility>

#include "ocl/ocl_error.hpp"

namespace clsink {
namespace {

std::string describe(const cl::Device& device) {
  try {
    const cl::Platform platform(device.getInfo<CL_DEVICE_PLATFORM>());
    return fmt::format(
        "device={}\nvendor={}\ndevice version={}\naddress bits={}\ndriver={}\nplatform={}\nplatform version={}\n",
        device.getInfo<CL_DEVICE_NAME>(), device.getInfo<CL_DEVICE_VENDOR>(), device.getInfo<CL_DEVICE_VERSION>(),
        device.getInfo<CL_DEVICE_ADDRESS_BITS>(), device.getInfo<CL_DRIVER_VERSION>(), platform.getInfo<CL_PLATFORM_NAME>(),
        platform.getInfo<CL_PLATFORM_VERSION>());
  } catch (const cl::Error& error) {
    throw_cl_error(error.err(), error.what());
  }
}

}  // namespace

BinaryCache::BinaryCache(const cl::Device& device, BinaryStorage storage, std::function<void(const std::string&)> warn)
    : device_(storage.load || storage.store ? describe(device) : ""), storage_(std::move(storage)), warn_(std::move(warn)) {}

std::string BinaryCache::key(std::string_view source, const std::string& kernel, const std::string& options) const {
  return fmt::format("clsink binary {}\nsource={}\nkernel={}\noptions={}\n{}", kBlobFormat, hash_text(source), kernel, options,
                     device_);
}

std::optional<Blob> BinaryCache::load(const std::string& key) const {
  if (!storage_.load) return std::nullopt;
  const std::string name = hash_text(key);
  const Blob blob = storage_.load(name);
  if (blob.empty()) return std::nullopt;
  DecodedBlob decoded = decode_blob(key, blob);
  if (decoded.refusal.empty()) return std::move(decoded.binary);
  warn_(fmt::format("binary cache: {} is not used: {}", name, decoded.refusal));
  return std::nullopt;
}

void BinaryCache::store(const std::string& key, const Blob& binary) const {
  if (storage_.store) storage_.store(hash_text(key), encode_blob(key, binary));
}

}  // namespace clsink
