// SPDX-License-Identifier: Apache-2.0
// How a compiled program is written down, in a file or in the caller's own storage. Pure functions, no OpenCL.
//
//   "clsinkpb" | u32 format version | u32 length of the key | u64 length of the binary | key | binary | XXH3-128 of all before
//
// Integers are little-endian. The key is all that the binary depends on, as text; it is compared whole, so that a blob under
// the wrong name is never taken for another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clsink {

using Blob = std::vector<std::uint8_t>;

/// Changes whenever blobs of before cannot be read.
inline constexpr std::uint32_t kBlobFormat = 1;

/// 32 hexadecimal digits: XXH3-128 of the text.
std::string hash_text(std::string_view text);

Blob encode_blob(std::string_view key, const Blob& binary);

struct DecodedBlob {
  Blob binary;
  std::string refusal;  ///< why the blob is not used; empty: it is
};

/// The binary of a blob that was encoded for this key. Any bytes may come in.
DecodedBlob decode_blob(std::string_view key, const Blob& blob);

}  // namespace clsink
