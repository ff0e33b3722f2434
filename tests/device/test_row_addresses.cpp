// SPDX-License-Identifier: Apache-2.0
// 64-bit addresses on any device: rows so far apart that no memory holds them are only pointed at.
#include "environment.hpp"
#include "model/problem.hpp"
#include "model/program_spec.hpp"
#include "ocl/program.hpp"
#include "runtime/buffers.hpp"

namespace clsink {
extern const std::string_view k_row_addresses_source;
}

namespace clsink::harness {
namespace {

constexpr std::int64_t kFar = (std::int64_t{1} << 32) + 4096;  // elements; unsigned numbers of 32 bits cannot hold it either
constexpr int kPageSize = 256;

const std::vector<cl_int> kPages = {3, 0, 1'000'000, 1};  // of tokens 0, 256, 512, 768
const std::vector<cl_int4> kRows = {{{0, 0, 0}}, {{2, 0, 1}}, {{0, 3, 300}}, {{1, 2, 767}}, {{2, 3, 999}}};

DecodeProblem far_problem(DType dtype, int page_size) {
  DecodeProblem problem;
  problem.q_dtype = problem.kv_dtype = problem.out_dtype = dtype;
  problem.num_q_heads = problem.num_kv_heads = 4;
  problem.head_dim = 64;
  problem.max_batch = 3;
  problem.max_kv_len = 1000;
  problem.out_strides = {kFar, 8 * kFar};
  problem.kv_layout.k = {kFar, 3 * kFar, 5 * kFar};
  problem.kv_layout.v = {7 * kFar, 11 * kFar, 13 * kFar};
  problem.kv_layout.page_size = page_size;
  problem.kv_layout.page_table_stride = page_size != 0 ? kFar : 0;
  return resolve(problem);
}

decode_args far_args(const DecodeProblem& problem) {
  DecodePlan plan;
  plan.problem = problem;
  decode_args args = describe_plan(plan);
  args.k_offset = 17 * kFar;
  args.v_offset = 19 * kFar;
  args.out_offset = 23 * kFar;
  args.page_table_offset = 29 * kFar;
  args.num_pages = 2'000'000;
  return args;
}

std::vector<cl_long4> distances_on_device(const DecodeProblem& problem) {
  ProgramSpec spec;
  spec.kv_dtype = static_cast<int>(problem.kv_dtype);
  spec.out_dtype = static_cast<int>(problem.out_dtype);
  spec.page_size = problem.kv_layout.page_size;
  const OpenClDevice& device = test_device();
  CompiledKernel kernel(device.context, device.device, k_row_addresses_source, "row_addresses", build_options(spec));
  const decode_args args = far_args(problem);
  std::vector<cl_int> pages = kPages;
  std::vector<cl_int4> rows = kRows;
  std::vector<cl_long4> distances(rows.size());
  cl::CommandQueue queue = device.queue();
  const cl::Buffer pages_buffer(queue, pages.begin(), pages.end(), true), rows_buffer(queue, rows.begin(), rows.end(), true),
      distances_buffer(queue, distances.begin(), distances.end(), false);
  kernel.launch(queue(),
                {{&distances_buffer(), sizeof(cl_mem)},  // any buffer is a base
                 {&pages_buffer(), sizeof(cl_mem)},
                 {&rows_buffer(), sizeof(cl_mem)},
                 {&distances_buffer(), sizeof(cl_mem)},
                 {&args, sizeof args}},
                {rows.size(), 1}, {}, nullptr);
  cl::copy(queue, distances_buffer, distances.begin(), distances.end());
  return distances;
}

const char* const kNames[] = {"k", "v", "out", "page table"};
cl_long4 distances_on_host(const DecodeProblem& p, const cl_int4& row) {
  const std::int64_t sequence = row.s[0], head = row.s[1];
  const bool paged = p.kv_layout.is_paged();
  const std::int64_t block = paged ? kPages[row.s[2] / kPageSize] : sequence, token = paged ? row.s[2] % kPageSize : row.s[2];
  const decode_args args = far_args(p);
  const auto cache_row = [&](const CacheStrides& strides) {
    return (block * strides.block + head * strides.head + token * strides.token) * size_of(p.kv_dtype);
  };
  return {{args.k_offset + cache_row(p.kv_layout.k), args.v_offset + cache_row(p.kv_layout.v),
           args.out_offset + (sequence * p.out_strides.sequence + head * p.out_strides.head) * size_of(p.out_dtype),
           args.page_table_offset + sequence * p.kv_layout.page_table_stride * std::int64_t{sizeof(cl_int)}}};
}

// A device counts addresses modulo a power of two, 2^64 mostly.
std::int64_t as_the_device_counts(cl_long distance) {
  const auto spare_bits = 64 - test_device().device.getInfo<CL_DEVICE_ADDRESS_BITS>();
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(distance) << spare_bits >> spare_bits);
}

TEST(RowAddresses, HaveAllBitsOfTheDevice) {
  for (const int page_size : {0, kPageSize}) {
    for (const DType dtype : {DType::kF16, DType::kF32}) {
      const DecodeProblem problem = far_problem(dtype, page_size);
      const std::vector<cl_long4> distances = distances_on_device(problem);
      for (std::size_t i = 0; i < kRows.size(); ++i) {
        const cl_long4 expected = distances_on_host(problem, kRows[i]);
        for (int j = 0; j < 4; ++j) {
          EXPECT_EQ(as_the_device_counts(distances[i].s[j]), as_the_device_counts(expected.s[j]))
              << kNames[j] << ", row " << i << ": " << to_string(problem);
        }
      }
    }
  }
}

}  // namespace
}  // namespace clsink::harness
