// SPDX-License-Identifier: Apache-2.0
// What only the device can see is clamped or skipped, reported in sticky bits, and never followed out of bounds: NaN
// and guard bands around everything would show it.
#include "environment.hpp"

namespace clsink::harness {
namespace {

constexpr int kPage = 7;

TEST(Status, LengthsAboveTheBoundAndNegative) {
  for (const char* layout : {"", " page=7"}) {
    for (const char* lens : {"101", "2147483647,5", "-1,50", "-2147483648,7,100", "1000,-1,3"}) {
      const Case c = parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=100" + std::string(layout) +
                                " route=mean near=1,8 @ lens=" + lens + " seed=3 data=sink");
      for (const Case& variant : with_typical_variants(c)) EXPECT_TRUE(passes(variant));
    }
  }
}

TEST(Status, AnchorsOutOfRange) {
  for (const char* route : {" keep=3,9", " route=mean near=1,8", " route=mask near=1,8"}) {
    const Case c = parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=4 kv=100" + std::string(route) +
                              " @ lens=100,50,20,0 seed=3 data=sink anchors=1");
    for (const std::vector<std::int32_t>& anchors :
         {std::vector<std::int32_t>{100, 3, 19, 0}, {5, -1, 0, 0}, {INT32_MAX, INT32_MIN, 20, 7}, {99, 49, 19, 9}}) {
      Inputs inputs = make_inputs(c);
      inputs.anchors = anchors;
      const ReferenceResult reference = reference_decode(c.problem, step_of(c), reference_inputs(c.problem, inputs));
      EXPECT_EQ(reference.status != 0, anchors[0] != 99);
      for (const Case& variant : with_typical_variants(c)) EXPECT_TRUE(passes(variant, inputs, reference));
    }
  }
}

// Sequence 0 fills three pages; its middle entry is replaced by one outside the cache.
void expect_clamped(const Case& c, std::int32_t bad_entry, bool towards_last) {
  Fixture fixture(c);
  std::vector<std::int32_t> table = fixture.on_device.page_table();
  table[1] = bad_entry;
  fixture.on_device.upload_page_table(table);
  const std::int32_t clamped = towards_last ? fixture.on_device.num_pages() - 1 : 0;
  const auto& pages = fixture.on_device.page_table();
  const int owner = pages[0] == clamped ? 0 : pages[1] == clamped ? 1 : 2;
  ASSERT_EQ(pages[static_cast<std::size_t>(owner)], clamped);
  ReferenceInputs view = reference_inputs(c.problem, fixture.inputs);
  const auto redirect = [owner](const TokenRow& rows) {
    return [rows, owner](int sequence, int kv_head, int token) {
      const bool bad = sequence == 0 && token / kPage == 1;
      return rows(sequence, kv_head, bad ? owner * kPage + token % kPage : token);
    };
  };
  view.key = redirect(view.key);
  view.value = redirect(view.value);
  view.page_out_of_range = [](int sequence, int token) { return sequence == 0 && token / kPage == 1; };
  fixture.reference = reference_decode(c.problem, step_of(c), view);
  cl::CommandQueue queue = test_device().queue();
  const Readback got = fixture.run(queue);
  EXPECT_TRUE(fixture.good(got));
  EXPECT_EQ(got.status, fixture.reference.status);
}

TEST(Status, PagesOutOfRange) {
  const Case dense = parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=2 kv=100 page=7 @ lens=21,13 seed=3 data=random");
  const Case window = parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=2 kv=100 page=7 keep=1,6 @ lens=21,13 seed=3 data=random");
  for (const Case& base : {dense, window}) {
    for (const Case& c : with_typical_variants(base)) {
      for (const std::int32_t entry : {-1, INT32_MIN}) expect_clamped(c, entry, false);
      for (const std::int32_t entry : {1000, INT32_MAX}) expect_clamped(c, entry, true);
    }
  }
}

TEST(Status, BitsAreSticky) {
  Fixture fixture(parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=100 @ lens=101,-4,50 seed=3 data=random"));
  cl::CommandQueue queue = test_device().queue();
  EXPECT_EQ(fixture.run(queue).status, kStatusKvLenAboveBound | kStatusKvLenNegative);
  fixture.on_device.upload_kv_lens({100, 4, 50});
  fixture.enqueue(queue);
  EXPECT_EQ(fixture.on_device.read(queue).status, kStatusKvLenAboveBound | kStatusKvLenNegative) << "bits must stay";
  EXPECT_EQ(fixture.run(queue).status, 0) << "cleared by the caller";
}

}  // namespace
}  // namespace clsink::harness
