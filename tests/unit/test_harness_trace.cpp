// SPDX-License-Identifier: Apache-2.0
// What is wrong with a trace is said, whatever its description promises; the sizes are those that a fuzzer would try.
#include <gtest/gtest.h>

#include <clsink/error.hpp>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/trace.hpp"

namespace clsink::harness {
namespace {

using nlohmann::json;

constexpr std::size_t kDataBytes = 1024;

// Two layers of two steps, two query heads over one kv head of three tokens, four channels; every array at the beginning.
json good() {
  const auto array = [](const json& shape) { return json{{"dtype", "f32"}, {"shape", shape}, {"offset_bytes", 0}}; };
  const json q = array({2, 2, 2, 4}), k = array({2, 1, 3, 4}), per_head = array({2, 2, 2});
  return {{"model", "m"},
          {"document", "d"},
          {"layers", {0, 7}},
          {"first_kv_len", 2},
          {"scale", 0.5},
          {"arrays", {{"q", q}, {"k", k}, {"v", k}, {"cosine", per_head}, {"sink_logit", per_head}, {"sink_window", q}}}};
}

Trace parse(const json& description, std::size_t bytes = kDataBytes) {
  return parse_trace(description.dump(), std::string(bytes, '\0'), "x.json");
}

TEST(Trace, LayersAreWhole) {
  const Trace trace = parse(good());
  ASSERT_EQ(trace.layers.size(), 2U);
  EXPECT_EQ(trace.layers[1].number, 7);
  EXPECT_EQ(trace.layers[1].q.size(), 16U);
  EXPECT_EQ(trace.layers[1].k.size(), 12U);
  EXPECT_EQ(trace.kv_lens(), (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(parse(good(), 2 * 2 * 2 * 4 * 4).layers.size(), 2U);  // to the last byte
}

TEST(Trace, OneTokenIsRepeatedAsItIs) {
  json one = good();
  one["arrays"]["k"]["shape"] = one["arrays"]["v"]["shape"] = {2, 1, 1, 4};
  one["first_kv_len"] = 0;
  const Trace trace = parse(one);
  EXPECT_EQ(repeated(trace.layers[0], trace, 5).k, std::vector<float>(20, 0.0F));
}

TEST(Trace, WhatIsWrongIsSaid) {
  const std::uint64_t wraps = std::numeric_limits<std::uint64_t>::max() - 63;
  const struct {
    std::function<void(json&)> bend;
    const char* words;
  } cases[] = {
      {[](json& d) { d.erase("arrays"); }, "arrays"},
      {[](json& d) { d["model"] = 3; }, "type must be string"},
      {[](json& d) {
         d["arrays"]["q"]["shape"] = {2, 2, 2};
       },
       "q has 3 axes, must have 4"},
      {[](json& d) {
         d["arrays"]["k"]["shape"] = {2, 0, 3, 4};
       },
       "k has an axis of 0"},
      {[](json& d) {
         d["arrays"]["k"]["shape"] = {2, -1, 3, 4};
       },
       "k has an axis of 18446744073709551615"},
      {[](json& d) {
         d["arrays"]["v"]["shape"] = {2, 1, 3, 8};
       },
       "v is [2,1,3,8], must be [2,1,3,4]"},
      {[](json& d) {
         for (const char* name : {"q", "sink_window"}) d["arrays"][name]["shape"] = {2, 1 << 24, 1 << 24, 4};
       },
       "first_kv_len"},
      {[](json& d) {
         d["arrays"]["k"]["shape"] = d["arrays"]["v"]["shape"] = {2, 1 << 24, 1 << 24, 4};
       },
       "a layer of k exceeds"},
      {[=](json& d) { d["arrays"]["cosine"]["offset_bytes"] = wraps; }, "layer 0 of cosine lies beyond"},
      {[](json& d) { d["arrays"]["sink_window"]["offset_bytes"] = kDataBytes - 127; }, "layer 1 of sink_window lies beyond"},
      {[](json& d) { d["arrays"]["q"]["shape"][1] = 2.2e105; }, "2.2e+105 is not a whole number"},
      {[](json& d) { d["first_kv_len"] = 0.5; }, "0.5 is not a whole number"},
      {[](json& d) { d["layers"] = {1}; }, "layers names 1, q has 2"},
      {[](json& d) { d["first_kv_len"] = 3; }, "first_kv_len is 3, with 2 steps of 3 tokens"},
      {[](json& d) { d["first_kv_len"] = -1; }, "first_kv_len is -1"},
      {[](json& d) { d["first_kv_len"] = std::numeric_limits<std::int32_t>::max(); }, "first_kv_len is 2147483647"},
  };
  for (const auto& c : cases) {
    json description = good();
    c.bend(description);
    try {
      parse(description);
      ADD_FAILURE() << "nothing was refused: " << c.words;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidProblem);
      EXPECT_EQ(std::string(error.what()).find("trace x.json: "), 0U) << error.what();
      EXPECT_NE(std::string(error.what()).find(c.words), std::string::npos) << error.what() << ", not " << c.words;
    }
  }
  EXPECT_THROW(parse_trace("{", "", "x.json"), Error);
}

}  // namespace
}  // namespace clsink::harness
