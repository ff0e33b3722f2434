// SPDX-License-Identifier: Apache-2.0
#include "ocl/binary_blob.hpp"

#include <fmt/format.h>
#define XXH_INLINE_ALL  // no library to link, no symbol to show
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <limits>

#include <clsink/error.hpp>

#if XXH_VERSION_NUMBER < 800
#error "xxHash 0.8.0 or newer is needed: before it XXH3 was not final"
#endif

namespace clsink {
namespace {

constexpr std::string_view kMagic = "clsinkpb";
constexpr std::size_t kVersionAt = kMagic.size(), kKeyLengthAt = kVersionAt + 4, kBinaryLengthAt = kKeyLengthAt + 4;
constexpr std::size_t kHeaderBytes = kBinaryLengthAt + 8;
using Checksum = std::array<std::uint8_t, sizeof(XXH128_canonical_t)>;

Checksum checksum_of(const void* data, std::size_t bytes) {
  XXH128_canonical_t canonical;  // the same bytes on every host
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, bytes));
  Checksum checksum;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), checksum.begin());
  return checksum;
}

template <typename T>
void append(Blob& blob, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) blob.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

template <typename T>
T read(const Blob& blob, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<T>(blob[at + i]) << (8 * i));
  return value;
}

DecodedBlob refused(std::string reason) { return {{}, std::move(reason)}; }

}  // namespace

std::string hash_text(std::string_view text) {
  std::string digits;
  for (const std::uint8_t byte : checksum_of(text.data(), text.size())) digits += fmt::format("{:02x}", byte);
  return digits;
}

Blob encode_blob(std::string_view key, const Blob& binary) {
  if (key.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorCode::kInternal, fmt::format("a binary's key has {} bytes", key.size()));
  }
  Blob blob(kMagic.begin(), kMagic.end());
  blob.reserve(kHeaderBytes + key.size() + binary.size() + sizeof(Checksum));
  append(blob, kBlobFormat);
  append(blob, static_cast<std::uint32_t>(key.size()));
  append(blob, static_cast<std::uint64_t>(binary.size()));
  blob.insert(blob.end(), key.begin(), key.end());
  blob.insert(blob.end(), binary.begin(), binary.end());
  const Checksum checksum = checksum_of(blob.data(), blob.size());
  blob.insert(blob.end(), checksum.begin(), checksum.end());
  return blob;
}

DecodedBlob decode_blob(std::string_view key, const Blob& blob) {
  if (blob.size() < kHeaderBytes + sizeof(Checksum)) return refused(fmt::format("it has only {} bytes", blob.size()));
  if (!std::equal(kMagic.begin(), kMagic.end(), blob.begin())) return refused("it is no binary of clsink");
  const auto version = read<std::uint32_t>(blob, kVersionAt);
  if (version != kBlobFormat) return refused(fmt::format("its format is {}, must be {}", version, kBlobFormat));
  const std::uint64_t key_bytes = read<std::uint32_t>(blob, kKeyLengthAt);
  const auto binary_bytes = read<std::uint64_t>(blob, kBinaryLengthAt);
  const std::uint64_t present = blob.size() - kHeaderBytes - sizeof(Checksum);
  if (key_bytes > present || binary_bytes != present - key_bytes) {
    return refused(fmt::format("key and binary have {} bytes, must have {} + {}", present, key_bytes, binary_bytes));
  }
  const auto end = blob.end() - sizeof(Checksum);
  const Checksum checksum = checksum_of(blob.data(), blob.size() - sizeof(Checksum));
  if (!std::equal(checksum.begin(), checksum.end(), end)) return refused("its checksum does not fit");
  const auto key_begin = blob.begin() + kHeaderBytes, key_end = key_begin + static_cast<std::ptrdiff_t>(key_bytes);
  if (!std::equal(key.begin(), key.end(), key_begin, key_end)) return refused("it was made for something else");
  return {Blob(key_end, end), ""};
}

}  // namespace clsink
