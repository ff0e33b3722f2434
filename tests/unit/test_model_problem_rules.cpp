// SPDX-License-Identifier: Apache-2.0
// What makes a problem invalid, rule by rule and by the field that the reason names; and the strides that resolve fills in.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <clsink/error.hpp>
#include <clsink/problem.hpp>

#include "model/problem.hpp"

namespace clsink {
namespace {

DecodeProblem valid() { return parse_problem("f16/f32/bf16 hq=8 hkv=2 d=64 b=3 kv=700 route=mean"); }

using Change = std::function<void(DecodeProblem&)>;

struct Rule {
  Change change;
  std::vector<std::string> parts;  ///< of the reason: field and value; none: the problem stays valid
};

void check(const std::vector<Rule>& rules) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    SCOPED_TRACE("rule " + std::to_string(i));
    DecodeProblem problem = valid();
    rules[i].change(problem);
    const auto reason = invalid_reason(problem);
    if (rules[i].parts.empty()) {
      EXPECT_EQ(reason, std::nullopt);
      EXPECT_NO_THROW(resolve(problem));
      continue;
    }
    EXPECT_TRUE(reason.has_value());
    for (const std::string& part : rules[i].parts) {
      EXPECT_NE(reason.value_or("").find(part), std::string::npos) << reason.value_or("nothing") << " lacks " << part;
    }
    try {
      resolve(problem);
      ADD_FAILURE() << "resolved";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidProblem);
      EXPECT_EQ(reason.value_or(""), error.what());
    }
  }
}

TEST(ProblemRules, TheBaseIsValid) { EXPECT_EQ(invalid_reason(valid()), std::nullopt); }

TEST(ProblemRules, DefaultsAreNoProblem) { EXPECT_NE(invalid_reason(DecodeProblem{}), std::nullopt); }

TEST(ProblemRules, Enums) {
  check({
      {[](auto& p) { p.q_dtype = static_cast<DType>(3); }, {"q_dtype is 3"}},
      {[](auto& p) { p.kv_dtype = static_cast<DType>(77); }, {"kv_dtype is 77"}},
      {[](auto& p) { p.out_dtype = static_cast<DType>(255); }, {"out_dtype is 255"}},
      {[](auto& p) { p.routing.policy = static_cast<Policy>(3); }, {"routing.policy is 3"}},
      {[](auto& p) { p.routing.score = static_cast<Score>(2); }, {"routing.score is 2"}},
  });
}

TEST(ProblemRules, Sizes) {
  check({
      {[](auto& p) { p.num_kv_heads = 0; }, {"num_kv_heads is 0", "1 to 65536"}},
      {[](auto& p) { p.num_kv_heads = -2; }, {"num_kv_heads is -2"}},
      {[](auto& p) { p.num_kv_heads = p.num_q_heads = 65537; }, {"num_kv_heads is 65537"}},
      {[](auto& p) { p.num_kv_heads = p.num_q_heads = 4096; }, {}},
      {[](auto& p) { p.num_q_heads = 0; }, {"num_q_heads is 0"}},
      {[](auto& p) { p.num_q_heads = -8; }, {"num_q_heads is -8"}},
      {[](auto& p) { p.num_q_heads = 7; }, {"num_q_heads is 7", "num_kv_heads (2)"}},
      {[](auto& p) { p.num_q_heads = 1; }, {"num_q_heads is 1"}},
      {[](auto& p) { p.num_q_heads = 34; }, {"group_size is 17", "1 to 16"}},
      {[](auto& p) { p.num_q_heads = 32; }, {}},
      {[](auto& p) { p.head_dim = 24; }, {"head_dim is 24", "32 to 256"}},
      {[](auto& p) { p.head_dim = 68; }, {"head_dim is 68", "multiple of 8"}},
      {[](auto& p) { p.head_dim = 264; }, {"head_dim is 264"}},
      {[](auto& p) { p.head_dim = 0; }, {"head_dim is 0"}},
      {[](auto& p) { p.head_dim = -64; }, {"head_dim is -64"}},
      {[](auto& p) { p.head_dim = 32; }, {}},
      {[](auto& p) { p.head_dim = 256; }, {}},
      {[](auto& p) { p.max_batch = 0; }, {"max_batch is 0"}},
      {[](auto& p) { p.max_batch = 65537; }, {"max_batch is 65537"}},
      {[](auto& p) { p.max_batch = 65536; }, {}},
      {[](auto& p) { p.max_kv_len = 0; }, {"max_kv_len is 0"}},
      {[](auto& p) { p.max_kv_len = -1; }, {"max_kv_len is -1"}},
      {[](auto& p) { p.max_kv_len = (1 << 30) + 1; }, {"max_kv_len is 1073741825", "1 to 1073741824"}},
      {[](auto& p) { p.max_kv_len = 1 << 30; }, {}},
      {[](auto& p) {
         p.max_batch = 65536;
         p.num_kv_heads = 4096;
         p.num_q_heads = 32768;
       },
       {"max_batch 65536", "num_q_heads 32768"}},
  });
}

TEST(ProblemRules, StridesAreRowsOf16Bytes) {
  check({
      {[](auto& p) { p.q_strides.head = 68; }, {"q_strides.head is 68", "2 bytes", "multiple of 16"}},
      {[](auto& p) { p.q_strides.sequence = 7; }, {"q_strides.sequence is 7"}},
      {[](auto& p) { p.out_strides.head = 68; }, {"out_strides.head is 68"}},
      {[](auto& p) { p.out_strides.sequence = 514; }, {"out_strides.sequence is 514"}},
      {[](auto& p) { p.kv_layout.k.token = 66; }, {"kv_layout.k.token is 66", "4 bytes"}},
      {[](auto& p) { p.kv_layout.k.token = 68; }, {}},  // f32: 4 elements are 16 bytes
      {[](auto& p) { p.kv_layout.k.head = 1; }, {"kv_layout.k.head is 1"}},
      {[](auto& p) { p.kv_layout.k.block = 2; }, {"kv_layout.k.block is 2"}},
      {[](auto& p) { p.kv_layout.v.token = 3; }, {"kv_layout.v.token is 3"}},
      {[](auto& p) { p.kv_layout.v.head = 5; }, {"kv_layout.v.head is 5"}},
      {[](auto& p) { p.kv_layout.v.block = 6; }, {"kv_layout.v.block is 6"}},
      {[](auto& p) { p.q_strides.head = -8; }, {"q_strides.head is -8", "negative"}},
      {[](auto& p) { p.kv_layout.v.block = -2; }, {"kv_layout.v.block is -2", "negative"}},
      {[](auto& p) { p.kv_layout.k.token = 0; }, {}},  // one key for all tokens is odd, but readable
  });
}

// Offsets in bytes are 64-bit sums of products: none may wrap, or too small buffers would pass for large enough.
TEST(ProblemRules, ExtentsFit64Bits) {
  const std::int64_t huge = std::int64_t{1} << 62;
  check({
      {[=](auto& p) { p.q_strides.head = huge; }, {"q_strides spans"}},
      {[=](auto& p) { p.out_strides.sequence = huge; }, {"out_strides spans"}},
      {[=](auto& p) { p.kv_layout.k.token = huge; }, {"kv_layout.k spans"}},
      {[=](auto& p) { p.kv_layout.v.head = huge; }, {"kv_layout.v spans"}},
      {[=](auto& p) { p.kv_layout.v.block = huge; }, {"kv_layout.v spans"}},
      {[=](auto& p) { p.kv_layout.k.block = INT64_MAX - 15; }, {"kv_layout.k spans"}},
      {[=](auto& p) {
         p.kv_layout.page_size = 16;
         p.kv_layout.page_table_stride = huge;
       },
       {"kv_layout.page_table_stride spans"}},
      {[](auto& p) {
         p.max_batch = 65536;
         p.num_kv_heads = p.num_q_heads = 4096;
         p.head_dim = 256;
         p.max_kv_len = 1 << 30;
       },
       {"kv_layout.k spans"}},
      {[](auto& p) {
         p.kv_layout.k = {std::int64_t{1} << 33, std::int64_t{1} << 36, std::int64_t{1} << 40};
       },
       {}},
  });
}

TEST(ProblemRules, RowsOfOutDoNotOverlap) {
  check({
      {[](auto& p) { p.out_strides.head = 56; }, {"out_strides.head 56", "head_dim 64"}},
      {[](auto& p) { p.out_strides.head = 0; }, {"out_strides.head 0"}},
      {[](auto& p) { p.out_strides.sequence = 504; }, {"out_strides.sequence 504"}},
      {[](auto& p) { p.out_strides.head = 72; }, {"out_strides.head 72", "out_strides.sequence 512"}},  // packed sequences
      {[](auto& p) {
         p.out_strides = {64, 64};
       },
       {"overlap"}},
      {[](auto& p) {
         p.out_strides = {72, 7 * 72 + 64};
       },
       {}},
      {[](auto& p) {
         p.out_strides = {3 * 64, 64};
       },
       {}},  // [head][sequence]
      {[](auto& p) {
         p.out_strides = {3 * 64 - 8, 64};
       },
       {"overlap"}},
      {[](auto& p) {
         p.max_batch = 1;
         p.out_strides = {72, 0};
       },
       {}},
      {[](auto& p) {
         p.num_q_heads = p.num_kv_heads = 1;
         p.out_strides = {0, 64};
       },
       {}},
  });
}

TEST(ProblemRules, Pages) {
  check({
      {[](auto& p) { p.kv_layout.page_size = -1; }, {"kv_layout.page_size is -1"}},
      {[](auto& p) { p.kv_layout.page_size = 1; }, {}},
      {[](auto& p) { p.kv_layout.page_table_stride = 44; }, {"kv_layout.page_table_stride is 44", "contiguous"}},
      {[](auto& p) {
         p.kv_layout.page_size = 16;
         p.kv_layout.page_table_stride = 43;
       },
       {"kv_layout.page_table_stride is 43", "needs 44 pages of 16"}},
      {[](auto& p) {
         p.kv_layout.page_size = 16;
         p.kv_layout.page_table_stride = -44;
       },
       {"kv_layout.page_table_stride is -44"}},
      {[](auto& p) {
         p.kv_layout.page_size = 16;
         p.kv_layout.page_table_stride = 44;
       },
       {}},
      {[](auto& p) { p.kv_layout.page_size = INT32_MAX; }, {}},
  });
}

TEST(ProblemRules, TokenSets) {
  check({
      {[](auto& p) { p.token_set.keep_first = -1; }, {"token_set.keep_first is -1"}},
      {[](auto& p) { p.token_set.keep_last = -5; }, {"token_set.keep_last is -5"}},
      {[](auto& p) { p.routing.surrogate.keep_first = -1; }, {"routing.surrogate.keep_first is -1"}},
      {[](auto& p) { p.routing.surrogate.keep_last = -2; }, {"routing.surrogate.keep_last is -2"}},
      {[](auto& p) {
         p.token_set = {0, 0};
       },
       {}},
      {[](auto& p) {
         p.token_set = {INT32_MAX, 1};
       },
       {}},
      {[](auto& p) {
         p.routing.surrogate = {0, 0};
       },
       {}},
      {[](auto& p) {
         p.routing = {false, static_cast<Score>(9), static_cast<Policy>(9), {-1, -1}};
       },
       {}},  // not used
  });
}

TEST(Resolve, FillsPackedStrides) {
  const DecodeProblem contiguous = resolve(parse_problem("f16 hq=8 hkv=2 d=64 b=3 kv=700"));
  EXPECT_EQ(contiguous.q_strides, (RowStrides{64, 512}));
  EXPECT_EQ(contiguous.out_strides, (RowStrides{64, 512}));
  EXPECT_EQ(contiguous.kv_layout.k, (CacheStrides{64, 44800, 89600}));
  EXPECT_EQ(contiguous.kv_layout.v, contiguous.kv_layout.k);
  EXPECT_EQ(contiguous.kv_layout.page_table_stride, 0);
  const DecodeProblem paged = resolve(parse_problem("f16 hq=8 hkv=2 d=64 b=3 kv=705 page=16"));
  EXPECT_EQ(paged.kv_layout.k, (CacheStrides{64, 1024, 2048}));
  EXPECT_EQ(paged.kv_layout.v, paged.kv_layout.k);
  EXPECT_EQ(paged.kv_layout.page_table_stride, 45);
}

TEST(Resolve, KeepsWhatTheCallerGave) {
  const DecodeProblem given = parse_problem(
      "f16 hq=8 hkv=2 d=64 b=3 kv=700 page=16 table_stride=99 q_strides=72,packed out_strides=packed,1024 "
      "k_strides=128,packed,packed v_strides=packed,64,8000");
  const DecodeProblem p = resolve(given);
  EXPECT_EQ(p.q_strides, (RowStrides{72, 512}));
  EXPECT_EQ(p.out_strides, (RowStrides{64, 1024}));
  EXPECT_EQ(p.kv_layout.k, (CacheStrides{128, 1024, 2048}));
  EXPECT_EQ(p.kv_layout.v, (CacheStrides{64, 64, 8000}));
  EXPECT_EQ(p.kv_layout.page_table_stride, 99);
  EXPECT_EQ(resolve(p), p);
}

TEST(Resolve, PackedStridesAre64Bit) {
  const DecodeProblem p = resolve(parse_problem("f16 hq=128 hkv=128 d=256 b=2 kv=1073741824"));
  EXPECT_EQ(p.kv_layout.k.head, std::int64_t{1} << 38);
  EXPECT_EQ(p.kv_layout.k.block, std::int64_t{1} << 45);
}

// Problems that no caller can tell apart are equal, so that they share a plan.
TEST(Resolve, DropsRoutingFieldsWithoutMeaning) {
  DecodeProblem unrouted = valid();
  unrouted.routing = {false, Score::kMask, Policy::kAll, {9, 9}};
  EXPECT_EQ(resolve(unrouted).routing, SinkRouting{});
  DecodeProblem masked = valid();
  masked.routing = SinkRouting::mask();
  masked.routing.surrogate = {0, 3};
  DecodeProblem other = masked;
  other.routing.policy = Policy::kHybrid;
  EXPECT_EQ(resolve(other), resolve(masked));
  EXPECT_EQ(resolve(masked).routing.surrogate, (TokenSet{0, 3}));
}

}  // namespace
}  // namespace clsink
