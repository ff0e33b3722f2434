// SPDX-License-Identifier: Apache-2.0
// Blobs of the binary cache: what was written comes back, and nothing else is taken for it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ocl/binary_blob.hpp"

namespace clsink {
namespace {

constexpr char kKey[] = "device=any\noptions=-cl-std=CL1.2";

std::string why(const Blob& blob, std::string_view key = kKey) {
  const DecodedBlob decoded = decode_blob(key, blob);
  EXPECT_TRUE(decoded.refusal.empty() || decoded.binary.empty());
  return decoded.refusal;
}

Blob bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

Blob changed(Blob blob, std::size_t at, std::uint8_t bits) {
  blob[at] ^= bits;
  return blob;
}

TEST(BinaryBlob, ComesBack) {
  for (const std::size_t size : {0, 1, 239, 240, 241, 100000}) {
    Blob binary(size);
    for (std::size_t i = 0; i < size; ++i) binary[i] = static_cast<std::uint8_t>(31 * i);
    for (const std::string& key : {std::string(), std::string("k"), std::string(5000, '\n'), std::string("\0x", 2)}) {
      const DecodedBlob decoded = decode_blob(key, encode_blob(key, binary));
      EXPECT_EQ(decoded.refusal, "");
      EXPECT_EQ(decoded.binary, binary);
    }
  }
}

// What one host writes every other reads, and later versions too, unless kBlobFormat says otherwise.
TEST(BinaryBlob, TheFormatStays) {
  constexpr std::uint8_t kExpected[] = {'c', 'l', 's', 'i', 'n', 'k', 'p', 'b', 1, 0,   0,   0,   3,    0,   0,
                                        0,   2,   0,   0,   0,   0,   0,   0,   0, 'k', 'e', 'y', 0xFE, 0x01};
  const Blob blob = encode_blob("key", {0xFE, 0x01});
  ASSERT_EQ(blob.size(), sizeof kExpected + 16);
  EXPECT_TRUE(std::equal(std::begin(kExpected), std::end(kExpected), blob.begin()));
  std::string checksum;
  for (auto byte = blob.end() - 16; byte != blob.end(); ++byte) checksum += fmt::format("{:02x}", *byte);
  EXPECT_EQ(checksum, "7c33eac3366bc04050289d52a3bcc8f2");
  EXPECT_EQ(hash_text(""), "99aa06d3014798d86001c324468d497f");  // the algorithm's own test vector
}

TEST(BinaryBlob, EveryBitCounts) {
  const Blob blob = encode_blob(kKey, bytes_of("a binary"));
  ASSERT_EQ(why(blob), "");
  for (std::size_t i = 0; i < blob.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) EXPECT_NE(why(changed(blob, i, static_cast<std::uint8_t>(1 << bit))), "") << i;
  }
}

TEST(BinaryBlob, EveryByteCounts) {
  Blob blob = encode_blob(kKey, bytes_of("a binary"));
  for (std::size_t size = 0; size < blob.size(); ++size) {
    EXPECT_NE(why(Blob(blob.begin(), blob.begin() + static_cast<std::ptrdiff_t>(size))), "") << size;
  }
  blob.push_back(0);
  EXPECT_NE(why(blob), "");
}

TEST(BinaryBlob, RefusalsSayWhy) {
  const Blob blob = encode_blob(kKey, bytes_of("a binary"));
  EXPECT_EQ(why({}), "it has only 0 bytes");
  EXPECT_EQ(why(Blob(39)), "it has only 39 bytes");
  EXPECT_EQ(why(Blob(40)), "it is no binary of clsink");
  EXPECT_EQ(why(changed(blob, 8, 3)), "its format is 2, must be 1");
  EXPECT_EQ(why(changed(blob, 16, 1)), "key and binary have 40 bytes, must have 32 + 9");
  EXPECT_EQ(why(changed(blob, 15, 0x80)), "key and binary have 40 bytes, must have 2147483680 + 8");
  EXPECT_EQ(why(changed(blob, 23, 0xFF)), "key and binary have 40 bytes, must have 32 + 18374686479671623688");
  EXPECT_EQ(why(changed(blob, blob.size() - 20, 1)), "its checksum does not fit");
  EXPECT_EQ(why(blob, std::string(kKey) + "2"), "it was made for something else");
  EXPECT_EQ(why(blob, ""), "it was made for something else");
}

}  // namespace
}  // namespace clsink
