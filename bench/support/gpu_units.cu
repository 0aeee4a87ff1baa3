// Rate of float32 multiply-adds: every multiprocessor is full of warps, each with eight independent chains,
// so that its four schedulers issue one instruction each a cycle.
#include "kernels/launch.cuh"
#include "support/gpu_units.h"

namespace {

enum { kChains = 8, kSteps = 8, kThreads = 256, kBlocksPerProcessor = 8 };

__global__ void __launch_bounds__(kThreads) multiply_add(float *out, int rounds, float factor) {
  float x[kChains];
  for (int c = 0; c < kChains; c++) x[c] = (float)(threadIdx.x + c);
  for (int r = 0; r < rounds; r++) {
    for (int s = 0; s < kSteps; s++) {
      for (int c = 0; c < kChains; c++) x[c] = x[c] * factor + 0.5f;
    }
  }
  float sum = 0;
  for (int c = 0; c < kChains; c++) sum += x[c];
  if (sum == 0.25f) *out = sum; // never, which the compiler cannot know
}

} // namespace

EbbStatus ebb_bench::gpu_multiply_add(EbbDevice *device, int rounds, float *out, double *operations) {
  const EbbRun run = {device, true, 1, 1};
  const int blocks = ebb_cuda_multiprocessors(device) * kBlocksPerProcessor;
  *operations = (double)blocks * kThreads * rounds * kSteps * kChains;
  return EBB_LAUNCH(&run, multiply_add, dim3((unsigned)blocks), dim3(kThreads), 0, out, rounds, 0.5f);
}
