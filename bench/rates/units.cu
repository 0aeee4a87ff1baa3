// The special-function unit: every multiprocessor is full of warps, each with independent chains.
#include "kernels/launch.cuh"
#include "kernels/storage.cuh"
#include "rates/rates.h"
#include "support/bench.h"

namespace {

enum { kChains = 4, kSteps = 16, kThreads = 256, kBlocksPerProcessor = 8 };

struct Ex2 {
  static __device__ __forceinline__ float of(float x) {
    float y;
    asm volatile("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
};
struct Rcp {
  static __device__ __forceinline__ float of(float x) {
    float y;
    asm volatile("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
};
struct Tanh {
  static __device__ __forceinline__ float of(float x) {
    float y;
    asm volatile("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
};

template <class Function> __global__ void __launch_bounds__(kThreads) special(float *out, int rounds) {
  float x[kChains];
  for (int c = 0; c < kChains; c++) x[c] = 0.5f + (float)(threadIdx.x + c) * 1e-3f;
  for (int r = 0; r < rounds; r++) {
#pragma unroll
    for (int s = 0; s < kSteps; s++) {
#pragma unroll
      for (int c = 0; c < kChains; c++) x[c] = Function::of(x[c]);
    }
  }
  float sum = 0;
  for (int c = 0; c < kChains; c++) sum += x[c];
  if (sum == 0.123f) *out = sum;
}

template <class Function> double start(const ebb_bench::Bench &bench, int rounds) {
  const EbbRun run = {bench.device, true, 1, 1};
  const int blocks = ebb_cuda_multiprocessors(bench.device) * kBlocksPerProcessor;
  ebb_bench::must(
      EBB_LAUNCH(&run, special<Function>, dim3((unsigned)blocks), dim3(kThreads), 0, bench.out, rounds));
  return (double)blocks * kThreads * rounds * kSteps * kChains;
}

__global__ void round_numbers(const float *from, EbbBf16 *to, int64_t size) {
  const int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x;
  if (i < size) store(to, i, from[i]);
}

} // namespace

double ebb_bench::start_ex2(const Bench &bench, int rounds) { return start<Ex2>(bench, rounds); }
double ebb_bench::start_rcp(const Bench &bench, int rounds) { return start<Rcp>(bench, rounds); }
double ebb_bench::start_tanh(const Bench &bench, int rounds) { return start<Tanh>(bench, rounds); }

void ebb_bench::round_to_bf16(const Bench &bench, const float *from, void *to, int64_t size) {
  const EbbRun run = {bench.device, true, 1, 1};
  must(EBB_LAUNCH(&run, round_numbers, dim3(ebb_blocks(size, kThreads)), dim3(kThreads), 0, from,
                  (EbbBf16 *)to, size));
}
