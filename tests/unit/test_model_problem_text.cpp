// SPDX-License-Identifier: Apache-2.0
// Problems as text: known texts, round trips of many generated problems, and the field that a bad text's message names.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include <clsink/error.hpp>
#include <clsink/problem.hpp>

#include "model/problem.hpp"

namespace clsink {
namespace {

TEST(ProblemText, KnownTexts) {
  const DecodeProblem simple = parse_problem("f16 hq=32 hkv=8 d=128 b=1 kv=131072 route=mean");
  EXPECT_EQ(simple.q_dtype, DType::kF16);
  EXPECT_EQ(simple.kv_dtype, DType::kF16);
  EXPECT_EQ(simple.out_dtype, DType::kF16);
  EXPECT_EQ(simple.num_q_heads, 32);
  EXPECT_EQ(simple.num_kv_heads, 8);
  EXPECT_EQ(simple.head_dim, 128);
  EXPECT_EQ(simple.max_batch, 1);
  EXPECT_EQ(simple.max_kv_len, 131072);
  EXPECT_EQ(simple.routing, SinkRouting::cosine(Policy::kMean));
  EXPECT_TRUE(simple.token_set.dense());

  const DecodeProblem full = parse_problem(
      "bf16/f16/f32 hq=6 hkv=3 d=80 b=7 kv=999 page=16 table_stride=70 keep=4,256 route=hybrid near=0,5 q_strides=88,packed "
      "out_strides=96,1000 k_strides=160,2560,packed v_strides=80,packed,4000");
  EXPECT_EQ(full.q_dtype, DType::kBF16);
  EXPECT_EQ(full.kv_dtype, DType::kF16);
  EXPECT_EQ(full.out_dtype, DType::kF32);
  EXPECT_EQ(full.kv_layout.page_size, 16);
  EXPECT_EQ(full.kv_layout.page_table_stride, 70);
  EXPECT_EQ(full.token_set, (TokenSet{4, 256}));
  EXPECT_EQ(full.routing.score, Score::kCosine);
  EXPECT_EQ(full.routing.policy, Policy::kHybrid);
  EXPECT_EQ(full.routing.surrogate, (TokenSet{0, 5}));
  EXPECT_EQ(full.q_strides, (RowStrides{88, kPackedStride}));
  EXPECT_EQ(full.out_strides, (RowStrides{96, 1000}));
  EXPECT_EQ(full.kv_layout.k, (CacheStrides{160, 2560, kPackedStride}));
  EXPECT_EQ(full.kv_layout.v, (CacheStrides{80, kPackedStride, 4000}));
  EXPECT_EQ(invalid_reason(full), std::nullopt);
}

TEST(ProblemText, IsCanonical) {
  const struct {
    const char* written;
    const char* printed;
  } cases[] = {
      {"f32 hq=1 hkv=1 d=32 kv=5", "f32 hq=1 hkv=1 d=32 b=1 kv=5"},
      {"  f16   kv=5 b=2 d=32 hkv=1 hq=2 ", "f16 hq=2 hkv=1 d=32 b=2 kv=5"},
      {"f16/f16/f16 hq=1 hkv=1 d=32 b=1 kv=5", "f16 hq=1 hkv=1 d=32 b=1 kv=5"},
      {"f16 hq=1 hkv=1 d=32 b=1 kv=5 page=2 table_stride=3", "f16 hq=1 hkv=1 d=32 b=1 kv=5 page=2"},
      {"f16 hq=1 hkv=1 d=32 b=1 kv=5 keep=0,all", "f16 hq=1 hkv=1 d=32 b=1 kv=5"},
      {"f16 hq=1 hkv=1 d=32 b=1 kv=5 keep=3,all", "f16 hq=1 hkv=1 d=32 b=1 kv=5 keep=3,all"},
      {"f16 hq=1 hkv=1 d=32 b=1 kv=5 near=1,64 route=mask", "f16 hq=1 hkv=1 d=32 b=1 kv=5 route=mask"},
      {"f16 hq=2 hkv=2 d=32 b=1 kv=5 k_strides=32,160,320", "f16 hq=2 hkv=2 d=32 b=1 kv=5"},
      {"f16 hq=2 hkv=2 d=32 b=1 kv=5 v_strides=32,168,320", "f16 hq=2 hkv=2 d=32 b=1 kv=5 v_strides=packed,168,packed"},
  };
  for (const auto& c : cases) EXPECT_EQ(to_string(parse_problem(c.written)), c.printed);
}

// Valid problems of every kind, the same ones on every machine.
class Generator {
 public:
  DecodeProblem next() {
    DecodeProblem p;
    p.q_dtype = dtype();
    p.kv_dtype = chance(2) ? p.q_dtype : dtype();
    p.out_dtype = chance(2) ? p.q_dtype : dtype();
    p.num_kv_heads = pick(1, 9);
    p.num_q_heads = p.num_kv_heads * pick(1, kMaxGroupSize);
    p.head_dim = 8 * pick(kMinHeadDim / 8, kMaxHeadDim / 8);
    p.max_batch = pick(1, 70);
    p.max_kv_len = pick(1, 200000);
    if (chance(2)) {
      p.kv_layout.page_size = pick(1, 300);
      if (chance(2)) p.kv_layout.page_table_stride = p.max_kv_len + pick(0, 9);
    }
    strides(p);
    if (chance(3)) p.token_set = TokenSet{pick(0, 5), chance(2) ? TokenSet::kAllTokens : pick(0, 5000)};
    routing(p.routing);
    return p;
  }

 private:
  std::int32_t pick(std::int32_t low, std::int32_t high) {
    return low + static_cast<std::int32_t>(random_() % static_cast<std::uint32_t>(high - low + 1));
  }
  bool chance(std::int32_t one_in) { return pick(1, one_in) == 1; }
  DType dtype() { return static_cast<DType>(pick(0, 2)); }
  std::int64_t stride() { return chance(2) ? kPackedStride : std::int64_t{8} * pick(0, 1 << 28); }

  void strides(DecodeProblem& p) {
    p.q_strides = {stride(), stride()};
    p.kv_layout.k = {stride(), stride(), stride()};
    p.kv_layout.v = {stride(), stride(), stride()};
    if (chance(2)) {  // rows of out may not overlap
      p.out_strides.head = p.head_dim + 8 * pick(0, 9);
      p.out_strides.sequence = p.num_q_heads * p.out_strides.head + 8 * pick(0, 9);
    }
  }

  void routing(SinkRouting& routing) {
    routing.enabled = chance(2);
    routing.score = chance(3) ? Score::kMask : Score::kCosine;
    routing.policy = static_cast<Policy>(pick(0, 2));
    if (chance(2)) routing.surrogate = TokenSet{pick(0, 3), chance(4) ? TokenSet::kAllTokens : pick(0, 200)};
  }

  std::mt19937 random_{20261122};
};

TEST(ProblemText, GeneratedProblemsRoundTrip) {
  Generator generator;
  std::set<std::string> texts;
  for (int i = 0; i < 3000; ++i) {
    const DecodeProblem problem = generator.next();
    const std::string text = to_string(problem);
    SCOPED_TRACE(text);
    ASSERT_EQ(invalid_reason(problem), std::nullopt);
    const DecodeProblem read = parse_problem(text);
    ASSERT_EQ(resolve(read), resolve(problem));
    ASSERT_EQ(to_string(read), text);
    ASSERT_EQ(to_string(resolve(problem)), text);
    texts.insert(text);
  }
  EXPECT_GT(texts.size(), 2990U);
}

TEST(ProblemText, EveryObservableFieldIsInTheText) {
  const DecodeProblem base = parse_problem("f16 hq=8 hkv=2 d=64 b=3 kv=700 page=16 route=mean");
  const std::vector<void (*)(DecodeProblem&)> changes = {
      [](DecodeProblem& p) { p.q_dtype = DType::kF32; },
      [](DecodeProblem& p) { p.kv_dtype = DType::kBF16; },
      [](DecodeProblem& p) { p.out_dtype = DType::kF32; },
      [](DecodeProblem& p) { p.num_q_heads = 16; },
      [](DecodeProblem& p) { p.num_kv_heads = 4; },
      [](DecodeProblem& p) { p.head_dim = 72; },
      [](DecodeProblem& p) { p.max_batch = 4; },
      [](DecodeProblem& p) { p.max_kv_len = 701; },
      [](DecodeProblem& p) { p.q_strides.head = 640; },
      [](DecodeProblem& p) { p.q_strides.sequence = 640; },
      [](DecodeProblem& p) { p.out_strides.head = 640; },
      [](DecodeProblem& p) { p.out_strides.sequence = 640; },
      [](DecodeProblem& p) { p.kv_layout.page_size = 8; },
      [](DecodeProblem& p) { p.kv_layout.page_table_stride = 640; },
      [](DecodeProblem& p) { p.kv_layout.k.token = 640; },
      [](DecodeProblem& p) { p.kv_layout.k.head = 640; },
      [](DecodeProblem& p) { p.kv_layout.k.block = 640; },
      [](DecodeProblem& p) { p.kv_layout.v.token = 640; },
      [](DecodeProblem& p) { p.kv_layout.v.head = 640; },
      [](DecodeProblem& p) { p.kv_layout.v.block = 640; },
      [](DecodeProblem& p) { p.token_set.keep_first = 1; },
      [](DecodeProblem& p) { p.token_set.keep_last = 9; },
      [](DecodeProblem& p) { p.routing.enabled = false; },
      [](DecodeProblem& p) { p.routing.score = Score::kMask; },
      [](DecodeProblem& p) { p.routing.policy = Policy::kAll; },
      [](DecodeProblem& p) { p.routing.policy = Policy::kHybrid; },
      [](DecodeProblem& p) { p.routing.surrogate.keep_first = 0; },
      [](DecodeProblem& p) { p.routing.surrogate.keep_last = 9; },
  };
  std::set<std::string> texts = {to_string(base)};
  for (const auto& change : changes) {
    DecodeProblem changed = base;
    change(changed);
    EXPECT_NE(changed, base) << to_string(changed);
    EXPECT_TRUE(texts.insert(to_string(changed)).second) << to_string(changed);
    EXPECT_EQ(parse_problem(to_string(changed)), changed) << to_string(changed);
  }
}

TEST(ProblemText, MessageNamesTheBadField) {
  const std::string good = "f16 hq=8 hkv=2 d=64 b=3 kv=700";
  const struct {
    std::string text;
    std::vector<std::string> parts;
  } cases[] = {
      {"", {"empty"}},
      {" \t\n", {"empty"}},
      {"f64 hq=8", {"q_dtype", "'f64'", "f16, bf16, f32"}},
      {"F16 hq=8", {"q_dtype", "'F16'"}},
      {"hq=8 f16", {"q_dtype", "'hq=8'"}},
      {"f16/f8/f16 hq=8", {"kv_dtype", "'f8'"}},
      {"f16/f16/ hq=8", {"out_dtype", "''"}},
      {"f16/f32 hq=8", {"storage types", "'f16/f32'"}},
      {good + " q", {"'q'", "key=value"}},
      {good + " =3", {"'=3'", "key=value"}},
      {good + " heads=3", {"unknown", "'heads'"}},
      {good + " HQ=3", {"unknown", "'HQ'"}},
      {good + " hq=8", {"'hq'", "twice"}},
      {good + " route=mean route=mean", {"'route'", "twice"}},
      {good + " page=", {"page", "''"}},
      {good + " page=four", {"page", "'four'"}},
      {good + " page=4k", {"page", "'4k'"}},
      {good + " page=1.5", {"page", "'1.5'"}},
      {good + " page=+4", {"page", "'+4'"}},
      {good + " page=0x10", {"page", "'0x10'"}},
      {good + " page=2147483648", {"page", "2147483648", "32 bits"}},
      {good + " page=99999999999999999999", {"page", "99999999999999999999"}},
      {good + " table_stride=x", {"table_stride", "'x'"}},
      {good + " keep=4", {"keep", "'4'"}},
      {good + " keep=4,5,6", {"keep", "'4,5,6'"}},
      {good + " keep=all,4", {"keep", "'all'"}},
      {good + " keep=4,most", {"keep", "'most'"}},
      {good + " route=cosine", {"route", "'cosine'", "mean, all, hybrid"}},
      {good + " route=mean near=1", {"near", "'1'"}},
      {good + " near=1,64", {"'near'", "'route'"}},
      {good + " q_strides=64", {"q_strides", "'64'", "2 strides"}},
      {good + " out_strides=64,64,64", {"out_strides", "2 strides"}},
      {good + " k_strides=64,64", {"k_strides", "3 strides"}},
      {good + " v_strides=64,,64", {"v_strides", "''"}},
      {good + " v_strides=64,tight,64", {"v_strides", "'tight'"}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    try {
      parse_problem(c.text);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidProblem);
      for (const std::string& part : c.parts)
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace clsink
