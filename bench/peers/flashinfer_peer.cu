// SPDX-License-Identifier: Apache-2.0
// FlashInfer's decode kernels behind a C interface, straight from its headers: fp16, head_dim 128, dense. peers_flashinfer.py builds
// and calls it, on the caller's tensors and stream, so that caches, checks and timing are those of every other peer.
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <flashinfer/attention/decode.cuh>
#include <flashinfer/attention/default_decode_params.cuh>
#include <flashinfer/attention/default_prefill_params.cuh>
#include <flashinfer/attention/prefill.cuh>
#include <flashinfer/attention/scheduler.cuh>
#include <flashinfer/attention/variants.cuh>

namespace flashinfer_peer {  // nvcc's stubs cannot name kernels over types of an unnamed one

using namespace ::flashinfer;

constexpr int kHeadDim = 128;
constexpr auto kNoPosition = PosEncodingMode::kNone;
constexpr std::size_t kFloatBytes = std::size_t{512} << 20, kIntBytes = std::size_t{64} << 20;
using Variant = DefaultAttention<false, false, false, false>;
using SingleDecode = SingleDecodeParams<half, half, half>;
using SinglePrefill = SinglePrefillParams<half, half, half>;
using PagedDecode = BatchDecodeParams<half, half, half, std::int32_t>;
using PagedPrefill = BatchPrefillPagedParams<half, half, half, std::int32_t>;

enum Kernel { kSingle, kSingleTensorCores, kPaged, kPagedTensorCores };

std::string last_error;

void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

struct DeviceMemory {
  DeviceMemory() = default;
  explicit DeviceMemory(std::size_t bytes) { check(cudaMalloc(&data, bytes)); }
  explicit DeviceMemory(const std::vector<std::int32_t>& values) : DeviceMemory(values.size() * sizeof(values[0])) {
    check(cudaMemcpy(data, values.data(), values.size() * sizeof(values[0]), cudaMemcpyHostToDevice));
  }
  DeviceMemory(const DeviceMemory&) = delete;
  ~DeviceMemory() { cudaFree(data); }
  char* bytes() const { return static_cast<char*>(data); }
  std::int32_t* ints() const { return static_cast<std::int32_t*>(data); }
  void* data = nullptr;
};

struct PinnedMemory {
  explicit PinnedMemory(std::size_t bytes) { check(cudaMallocHost(&data, bytes)); }
  PinnedMemory(const PinnedMemory&) = delete;
  ~PinnedMemory() { cudaFreeHost(data); }
  void* data = nullptr;
};

struct Shape {
  int batch, kv_heads, group, kv_len, page;
  int q_heads() const { return kv_heads * group; }
  int pages() const { return kv_len / page; }
};

// One step's kernel with everything planned beforehand; run() only launches.
class Step {
 public:
  Step(Kernel kernel, const Shape& shape, const std::int32_t* page_table)
      : kernel_(kernel), shape_(shape), scale_(1.0F / std::sqrt(static_cast<float>(kHeadDim))), floats_(kFloatBytes) {
    if (kernel_ == kPaged || kernel_ == kPagedTensorCores) plan_pages(page_table);
  }

  void run(half* q, half* k, half* v, half* out, cudaStream_t stream) {
    switch (kernel_) {
      case kSingle: return run_single(q, k, v, out, stream);
      case kSingleTensorCores: return run_single_tensor_cores(q, k, v, out, stream);
      case kPaged: return run_paged(q, k, v, out, stream);
      case kPagedTensorCores: return run_paged_tensor_cores(q, k, v, out, stream);
    }
  }

 private:
  void plan_pages(const std::int32_t* page_table) {
    const int batch = shape_.batch, pages = shape_.pages();
    std::vector<std::int32_t> first_page(batch + 1), first_query(batch + 1);
    for (int i = 0; i <= batch; ++i) first_page[i] = i * pages, first_query[i] = i;
    page_table_ = std::make_unique<DeviceMemory>(std::vector<std::int32_t>(page_table, page_table + batch * pages));
    first_page_ = std::make_unique<DeviceMemory>(first_page);
    first_query_ = std::make_unique<DeviceMemory>(first_query);
    last_page_len_ = std::make_unique<DeviceMemory>(std::vector<std::int32_t>(batch, shape_.page));
    ints_ = std::make_unique<DeviceMemory>(kIntBytes);
    const PinnedMemory pinned(kIntBytes);
    if (kernel_ == kPagedTensorCores) {
      check(PrefillPlan<std::int32_t>(floats_.data, kFloatBytes, ints_->data, pinned.data, kIntBytes, prefill_plan_,
                                      first_query.data(), first_page.data(), batch, batch, shape_.q_heads(), shape_.kv_heads,
                                      kHeadDim, kHeadDim, shape_.page, false, 2, -1, -1, false, 0, 0, nullptr));
    } else {
      plan_decode(first_page, pinned.data);
    }
    check(cudaDeviceSynchronize());  // the plan copies from the pinned memory
  }

  void plan_decode(std::vector<std::int32_t>& first_page, void* pinned) {
    const auto plan = [&](auto group) {
      const auto work = BatchDecodeWithPagedKVCacheWorkEstimationDispatched<group, kHeadDim, kNoPosition, Variant, PagedDecode>;
      check(DecodePlan<kHeadDim, kNoPosition, Variant, PagedDecode>(floats_.data, kFloatBytes, ints_->data, pinned, kIntBytes,
                                                                   decode_plan_, first_page.data(), shape_.batch,
                                                                   shape_.q_heads(), shape_.page, false, nullptr, work));
    };
    switch (shape_.group) {
      case 1: return plan(std::integral_constant<int, 1>());
      case 4: return plan(std::integral_constant<int, 4>());
      case 8: return plan(std::integral_constant<int, 8>());
      default: throw std::runtime_error("this kernel takes groups of 1, 4 or 8 query heads");
    }
  }

  void run_single(half* q, half* k, half* v, half* out, cudaStream_t stream) {
    SingleDecode params(q, k, v, out, nullptr, shape_.kv_len, shape_.q_heads(), shape_.kv_heads, QKVLayout::kHND, kHeadDim, -1,
                        0.F, scale_, 1.F, 1e4F);
    check(SingleDecodeWithKVCacheDispatched<kHeadDim, kNoPosition, Variant, SingleDecode>(
        params, reinterpret_cast<half*>(floats_.data), stream));
  }

  void run_single_tensor_cores(half* q, half* k, half* v, half* out, cudaStream_t stream) {
    SinglePrefill params(q, k, v, nullptr, out, nullptr, nullptr, shape_.q_heads(), shape_.kv_heads, 1, shape_.kv_len,
                         shape_.q_heads() * kHeadDim, kHeadDim, kHeadDim, shape_.kv_len * kHeadDim, kHeadDim, -1, 0.F, scale_,
                         1.F, 1e4F);
    check(SinglePrefillWithKVCacheDispatched<kHeadDim, kHeadDim, kNoPosition, false, MaskMode::kNone, Variant, SinglePrefill>(
        params, reinterpret_cast<half*>(floats_.data), stream));
  }

  paged_kv_t<half, std::int32_t> cache(half* k, half* v) const {
    return {static_cast<std::uint32_t>(shape_.kv_heads), static_cast<std::uint32_t>(shape_.page), kHeadDim,
            static_cast<std::uint32_t>(shape_.batch), QKVLayout::kHND, k, v, page_table_->ints(), first_page_->ints(),
            last_page_len_->ints()};
  }

  std::int32_t* planned(std::int64_t offset) const { return reinterpret_cast<std::int32_t*>(ints_->bytes() + offset); }

  void run_paged(half* q, half* k, half* v, half* out, cudaStream_t stream) {
    const DecodePlanInfo& plan = decode_plan_;
    PagedDecode params(q, nullptr, cache(k, v), out, nullptr, nullptr, shape_.q_heads(), shape_.q_heads() * kHeadDim, kHeadDim,
                       -1, 0.F, scale_, 1.F, 1e4F);
    params.padded_batch_size = plan.padded_batch_size;
    params.request_indices = planned(plan.request_indices_offset);
    params.kv_tile_indices = planned(plan.kv_tile_indices_offset);
    params.o_indptr = planned(plan.o_indptr_offset);
    params.kv_chunk_size_ptr = planned(plan.kv_chunk_size_ptr_offset);
    half* partial = plan.split_kv ? reinterpret_cast<half*>(floats_.bytes() + plan.v_offset) : nullptr;
    float* sums = plan.split_kv ? reinterpret_cast<float*>(floats_.bytes() + plan.s_offset) : nullptr;
    check(BatchDecodeWithPagedKVCacheDispatched<kHeadDim, kNoPosition, Variant, PagedDecode>(params, partial, sums, false, stream));
  }

  void run_paged_tensor_cores(half* q, half* k, half* v, half* out, cudaStream_t stream) {
    const PrefillPlanInfo& plan = prefill_plan_;
    PagedPrefill params;
    params.q = q;
    params.paged_kv = cache(k, v);
    params.q_indptr = first_query_->ints();
    params.o = out;
    params.lse = nullptr;
    params.num_qo_heads = shape_.q_heads();
    params.group_size = uint_fastdiv(shape_.group);
    params.q_stride_n = shape_.q_heads() * kHeadDim;
    params.q_stride_h = kHeadDim;
    params.window_left = -1;
    params.sm_scale = scale_;
    params.rope_rcp_scale = 1;
    params.rope_rcp_theta = 1e-4F;
    params.request_indices = planned(plan.request_indices_offset);
    params.qo_tile_indices = planned(plan.qo_tile_indices_offset);
    params.kv_tile_indices = planned(plan.kv_tile_indices_offset);
    params.o_indptr = planned(plan.o_indptr_offset);
    params.kv_chunk_size_ptr = planned(plan.kv_chunk_size_ptr_offset);
    params.padded_batch_size = plan.padded_batch_size;
    params.max_total_num_rows = plan.total_num_rows;
    half* partial = nullptr;
    float* sums = nullptr;
    if (plan.split_kv) {
      params.merge_indptr = planned(plan.merge_indptr_offset);
      partial = reinterpret_cast<half*>(floats_.bytes() + plan.v_offset);
      sums = reinterpret_cast<float*>(floats_.bytes() + plan.s_offset);
    }
    DISPATCH_CTA_TILE_Q(plan.cta_tile_q, kTileQ, {
      check((BatchPrefillWithPagedKVCacheDispatched<true, kTileQ, kHeadDim, kHeadDim, kNoPosition, false, MaskMode::kNone, Variant,
                                                    PagedPrefill>(params, partial, sums, false, stream)));
    });
  }

  Kernel kernel_;
  Shape shape_;
  float scale_;
  DeviceMemory floats_;
  std::unique_ptr<DeviceMemory> page_table_, first_page_, first_query_, last_page_len_, ints_;
  DecodePlanInfo decode_plan_;
  PrefillPlanInfo prefill_plan_;
};

template <typename Work>
auto guarded(const Work& work, decltype(work()) failure) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    last_error = error.what();
    return failure;
  }
}

}  // namespace flashinfer_peer

using namespace flashinfer_peer;

extern "C" {

const char* fi_last_error() { return last_error.c_str(); }

// page_table: page numbers on the host, [batch][kv_len / page]; null for contiguous caches. Null: see fi_last_error.
void* fi_create(int kernel, int batch, int kv_heads, int group, int kv_len, int page, const std::int32_t* page_table) {
  const auto create = [&] { return new Step(static_cast<Kernel>(kernel), {batch, kv_heads, group, kv_len, page}, page_table); };
  return guarded(create, nullptr);
}

int fi_run(void* step, void* q, void* k, void* v, void* out, void* stream) {
  const auto half_of = [](void* data) { return static_cast<half*>(data); };
  const auto run = [&] {
    static_cast<Step*>(step)->run(half_of(q), half_of(k), half_of(v), half_of(out), static_cast<cudaStream_t>(stream));
    return 0;
  };
  return guarded(run, 1);
}

void fi_destroy(void* step) { delete static_cast<Step*>(step); }
}
