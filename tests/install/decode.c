/* SPDX-License-Identifier: Apache-2.0
 * A C program of a stranger: its own OpenCL context, queue and buffers, two sequences of different length, and a plain
 * loop to compare with. Valid C99. Prints the largest error and returns 0 if it is small. */
#include <clsink/clsink.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  kBatch = 2,
  kHeads = 6,
  kKvHeads = 2,
  kDim = 64,
  kMaxLen = 300,
  kQ = kBatch * kHeads * kDim,
  kCache = kBatch * kKvHeads * kMaxLen * kDim
};

static float q[kQ], k[kCache], v[kCache], out[kQ];
static const cl_int lengths[kBatch] = {257, 300};

static void need(int ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "%s failed: %s\n", what, clsink_last_error());
  exit(1);
}

static void fill(float* values, int count) {
  for (int i = 0; i < count; ++i) values[i] = (float)rand() / (float)RAND_MAX - 0.5F;
}

/* The largest difference to softmax(q K^T / sqrt(d)) V, computed as one would write it down. */
static double largest_error(void) {
  double worst = 0.0;
  for (int row = 0; row < kBatch * kHeads; ++row) {
    const int b = row / kHeads, h = row % kHeads;
    const float* keys = k + (b * kKvHeads + h / (kHeads / kKvHeads)) * kMaxLen * kDim;
    const float* values = v + (keys - k);
    double sum = 0.0, expected[kDim] = {0};
    for (int t = 0; t < lengths[b]; ++t) {
      double logit = 0.0;
      for (int i = 0; i < kDim; ++i) logit += (double)q[row * kDim + i] * keys[t * kDim + i];
      const double weight = exp(logit / sqrt(kDim));
      sum += weight;
      for (int i = 0; i < kDim; ++i) expected[i] += weight * values[t * kDim + i];
    }
    for (int i = 0; i < kDim; ++i) worst = fmax(worst, fabs(out[row * kDim + i] - expected[i] / sum));
  }
  return worst;
}

static clsink_buffer buffer(cl_context context, size_t bytes, const void* data) {
  cl_int status;
  clsink_buffer result = {NULL, 0};
  const cl_mem_flags flags = CL_MEM_READ_WRITE | (data != NULL ? CL_MEM_COPY_HOST_PTR : 0);
  result.memory = clCreateBuffer(context, flags, bytes, (void*)data, &status);
  need(status == CL_SUCCESS, "clCreateBuffer");
  return result;
}

int main(void) {
  cl_platform_id platform;
  cl_device_id device;
  cl_int status;
  need(clGetPlatformIDs(1, &platform, NULL) == CL_SUCCESS, "clGetPlatformIDs");
  need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) == CL_SUCCESS, "clGetDeviceIDs");
  cl_context opencl = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
  need(status == CL_SUCCESS, "clCreateContext");
  cl_command_queue queue = clCreateCommandQueue(opencl, device, 0, &status);
  need(status == CL_SUCCESS, "clCreateCommandQueue");
  fill(q, kQ), fill(k, kCache), fill(v, kCache);

  clsink_problem problem;
  clsink_problem_init(&problem, sizeof problem);
  problem.q_dtype = problem.kv_dtype = problem.out_dtype = CLSINK_F32;
  problem.num_q_heads = kHeads, problem.num_kv_heads = kKvHeads, problem.head_dim = kDim;
  problem.max_batch = kBatch, problem.max_kv_len = kMaxLen;

  clsink_context* context;
  clsink_plan* plan;
  clsink_plan_info info;
  clsink_plan_info_init(&info, sizeof info);
  need(clsink_context_create(opencl, device, NULL, &context) == CLSINK_OK, "clsink_context_create");
  need(clsink_plan_create(context, &problem, NULL, &plan) == CLSINK_OK, "clsink_plan_create");
  need(clsink_prepare(context, plan) == CLSINK_OK, "clsink_prepare");
  need(clsink_plan_get_info(plan, &info) == CLSINK_OK, "clsink_plan_get_info");

  clsink_buffers buffers;
  clsink_buffers_init(&buffers, sizeof buffers);
  buffers.q = buffer(opencl, sizeof q, q), buffers.k = buffer(opencl, sizeof k, k), buffers.v = buffer(opencl, sizeof v, v);
  buffers.kv_len = buffer(opencl, sizeof lengths, lengths), buffers.out = buffer(opencl, sizeof out, NULL);
  buffers.workspace = buffer(opencl, (size_t)info.workspace_bytes, NULL);
  clsink_step step;
  clsink_step_init(&step, sizeof step);
  step.batch = kBatch, step.scale = 1.0F / sqrtf(kDim);
  need(clsink_enqueue(context, queue, plan, &buffers, &step, 0, NULL, NULL) == CLSINK_OK, "clsink_enqueue");
  need(clEnqueueReadBuffer(queue, buffers.out.memory, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL) == CL_SUCCESS, "read");
  clsink_plan_destroy(plan), clsink_context_destroy(context);

  const double error = largest_error();
  printf("clsink %s from C: largest error %.2e\n", clsink_version(), error);
  return error < 1e-6 ? 0 : 1;
}
