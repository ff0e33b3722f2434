// SPDX-License-Identifier: Apache-2.0
// Strides beyond 2^31 elements. Only the rows that a step touches are ever written, so hosts that commit memory lazily
// need little of it. A device whose largest buffer is smaller gets the largest stride that fits, and the test says which:
// test_row_addresses.cpp has the arithmetic alone, on any device.
#include <algorithm>
#include <cstdio>
#include <limits>

#include "environment.hpp"
#include "harness/storage.hpp"

namespace clsink::harness {
namespace {

constexpr std::int64_t kBeyond31Bits = (std::int64_t{1} << 31) + 4096;  // elements

class FarRows {
 public:
  FarRows(const Case& c, std::int64_t cache_elements)
      : c_(c),
        element_(size_of(c.problem.kv_dtype)),
        inputs_(make_inputs(c)),
        k_(test_device().context, CL_MEM_READ_ONLY, static_cast<std::size_t>(cache_elements * element_)),
        queue_(test_device().queue()) {}

  // Writes rows of both tensors by the problem's strides; V lies behind K's last token.
  Readback run(const DecodePlan& plan) {
    DeviceCase small(test_device(), packed_plan(), packed(), inputs_);
    const KvLayout& layout = plan.problem.kv_layout;
    for (int sequence = 0; sequence < plan.problem.max_batch; ++sequence) {
      for (int token = 0; token < c_.kv_lens[sequence]; ++token) {
        write(inputs_.k, sequence, token, sequence * layout.k.block + token * layout.k.token);
        write(inputs_.v, sequence, token, c_.v_at_bytes / element_ + sequence * layout.v.block + token * layout.v.token);
      }
    }
    small.buffers.k = {k_(), 0};
    small.buffers.v = {k_(), static_cast<std::size_t>(c_.v_at_bytes)};
    const cl::Buffer workspace(test_device().context, CL_MEM_READ_WRITE, static_cast<std::size_t>(plan.workspace_bytes));
    small.buffers.workspace = {workspace(), 0};
    test_context().enqueue(queue_(), plan, small.buffers, small.step);
    return small.read(queue_);
  }

  testing::AssertionResult good(const DecodePlan& plan, const Readback& got) const {
    const ReferenceResult reference = reference_decode(c_.problem, step_of(c_), reference_inputs(c_.problem, inputs_));
    const Outcome outcome = compare(plan.problem, reference, got, true);
    return (outcome.ok() ? testing::AssertionSuccess() : testing::AssertionFailure())
           << outcome.summary() << " " << to_string(c_);
  }

 private:
  // q and outputs as usual, with a small cache that is not used.
  Case packed() const {
    Case c = c_;
    c.problem.kv_layout = KvLayout::contiguous();
    c.v_at_bytes = 0;
    return c;
  }
  DecodePlan packed_plan() const { return test_context().plan(packed().problem); }

  void write(const std::vector<float>& values, int sequence, int token, std::int64_t at) {
    std::vector<std::byte> row(static_cast<std::size_t>(c_.problem.head_dim * element_));
    store_row(c_.problem.kv_dtype, &values[inputs_.row(c_.problem, sequence, 0, token)], c_.problem.head_dim, row.data());
    queue_.enqueueWriteBuffer(k_, CL_TRUE, static_cast<std::size_t>(at * element_), row.size(), row.data());
  }

  Case c_;
  std::int64_t element_;
  Inputs inputs_;
  cl::Buffer k_;
  cl::CommandQueue queue_;
};

// Elements that a stride may have: beyond 2^31, or what the device's largest buffer leaves beside `rest_elements`.
std::int64_t far_stride(std::int64_t rest_elements, int element_bytes) {
  const auto max_bytes = static_cast<std::int64_t>(test_device().device.getInfo<CL_DEVICE_MAX_MEM_ALLOC_SIZE>());
  return std::min((max_bytes / element_bytes - rest_elements) / 64 * 64, kBeyond31Bits);
}

// Says in the output and in the report (--gtest_output) what was tested.
void report(std::int64_t stride, int times) {
  const std::int64_t reach = stride * times;
  testing::Test::RecordProperty("stride_elements", std::to_string(stride));
  testing::Test::RecordProperty("reach_elements", std::to_string(reach));
  std::printf("%d x a stride of %lld elements: %s 2^31\n", times, static_cast<long long>(stride),
              reach > std::numeric_limits<std::int32_t>::max() ? "beyond" : "short of");
}

TEST(Addressing, SequenceStrideBeyond31Bits) {
  Case c = parse_case("f16/f16/f32 hq=4 hkv=1 d=64 b=2 kv=100 @ lens=37,100 seed=3 data=random");
  const std::int64_t sequence_elements = 100 * 128;
  const std::int64_t stride = far_stride(sequence_elements, 2);
  report(stride, 1);
  c.problem.kv_layout.k = c.problem.kv_layout.v = {128, sequence_elements, stride};
  c.v_at_bytes = 128;
  FarRows rows(c, stride + sequence_elements);
  for (const Case& variant : with_typical_variants(c)) {
    const DecodePlan plan = test_context().prepare(plan_of(test_context(), variant));
    EXPECT_TRUE(rows.good(plan, rows.run(plan))) << to_string(*variant.variant);
  }
}

TEST(Addressing, TokenStrideWhoseProductExceeds31Bits) {
  Case c = parse_case("f16/f16/f32 hq=4 hkv=1 d=64 b=1 kv=100 @ lens=100 seed=4 data=random");
  const std::int64_t stride = far_stride(1024, 2) / 99 / 64 * 64;
  report(stride, 99);
  c.problem.kv_layout.k = c.problem.kv_layout.v = {stride, 100 * stride, 100 * stride};
  c.v_at_bytes = 128;
  FarRows rows(c, 99 * stride + 1024);
  for (const Case& variant : with_typical_variants(c)) {
    const DecodePlan plan = test_context().prepare(plan_of(test_context(), variant));
    EXPECT_TRUE(rows.good(plan, rows.run(plan))) << to_string(*variant.variant);
  }
}

}  // namespace
}  // namespace clsink::harness
