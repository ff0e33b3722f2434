// SPDX-License-Identifier: Apache-2.0
// Built-in functions that libclc lacks on PTX, as NVIDIA's OpenCL compiles them: one instruction each.
static inline __attribute__((overloadable)) float nvptx_exp2(float x) {
  float y;
  __asm__("ex2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
static inline __attribute__((overloadable)) float4 nvptx_exp2(float4 x) {
  return (float4)(nvptx_exp2(x.x), nvptx_exp2(x.y), nvptx_exp2(x.z), nvptx_exp2(x.w));
}
static inline float nvptx_log2(float x) {
  float y;
  __asm__("lg2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#define native_exp2 nvptx_exp2
#define log2 nvptx_log2
