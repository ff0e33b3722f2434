// SPDX-License-Identifier: Apache-2.0
// Blobs of the binary cache: refused with a reason, or exactly what this key's blob is. The input is a blob as it is, a blob
// whose checksum is mended, so that what stands behind the checksum is reached, and a binary to be written and damaged.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "ocl/binary_blob.hpp"
#include "require.hpp"

namespace {

using clsink::Blob;
constexpr char kKey[] = "a key";
constexpr std::size_t kChecksum = 16;

void check(const Blob& blob) {
  const clsink::DecodedBlob decoded = clsink::decode_blob(kKey, blob);
  if (decoded.refusal.empty()) {
    REQUIRE(clsink::encode_blob(kKey, decoded.binary) == blob);
  } else {
    REQUIRE(decoded.binary.empty());
  }
}

Blob mended(Blob blob) {
  XXH128_canonical_t checksum;
  XXH128_canonicalFromHash(&checksum, XXH3_128bits(blob.data(), blob.size() - kChecksum));
  std::copy(std::begin(checksum.digest), std::end(checksum.digest), blob.end() - kChecksum);
  return blob;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Blob input(data, data + size);
  check(input);
  if (size >= kChecksum) check(mended(input));

  Blob written = clsink::encode_blob(kKey, input);
  const clsink::DecodedBlob decoded = clsink::decode_blob(kKey, written);
  REQUIRE(decoded.refusal.empty() && decoded.binary == input);
  REQUIRE(!clsink::decode_blob("another key", written).refusal.empty());
  if (size < 3) return 0;
  const std::size_t at = (data[0] + 256U * data[1]) % written.size();
  REQUIRE(!clsink::decode_blob(kKey, Blob(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(at))).refusal.empty());
  written[at] ^= static_cast<std::uint8_t>(data[2] | 1);
  REQUIRE(!clsink::decode_blob(kKey, written).refusal.empty());
  return 0;
}
