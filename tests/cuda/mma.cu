// The warp products of kernels/mma.cuh, for test_mma.cc.
#include "cuda/mma.h"

#include "kernels/launch.cuh"
#include "kernels/mma.cuh"

static __device__ uint32_t tf32_bits(float x, bool rounded) {
  return rounded ? mma_tf32(x) : (uint32_t)__float_as_int(x);
}

static __global__ void mma_kernel(MmaCheck check) {
  const int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
  uint32_t a[4], b[2];
  float d[4];
  for (int i = 0; i < 4; i++) {
    const int row = g + i % 2 * 8;
    const float *pair = check.a + row * 16 + 2 * t + i / 2 * 8;
    a[i] =
        check.bf16 ? mma_bf16(pair[0], pair[1]) : tf32_bits(check.a[row * 8 + t + i / 2 * 4], check.rounded);
    d[i] = check.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  }
  for (int i = 0; i < 2; i++) {
    const float *pair = check.b + (2 * t + i * 8) * 8 + g;
    b[i] = check.bf16 ? mma_bf16(pair[0], pair[8]) : tf32_bits(check.b[(t + i * 4) * 8 + g], check.rounded);
  }
  if (check.bf16)
    mma_bf16_16x8x16(d, a, b);
  else
    mma_tf32_16x8x8(d, a, b);
  for (int i = 0; i < 4; i++) check.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

extern "C" EbbStatus mma_check(const EbbRun *run, const MmaCheck *check) {
  return EBB_LAUNCH(run, mma_kernel, dim3(1), dim3(32), 0, *check);
}
