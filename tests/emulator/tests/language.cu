/* Kernels that use the language's parts one by one. */
#include "cuda_bf16.h"
#include "kernels.h"

namespace {

__global__ void indices(int *out) {
  int block = (int)(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
  int thread = (int)(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
  int threads = (int)(blockDim.x * blockDim.y * blockDim.z);
  out[block * threads + thread] = block * 1000 + thread;
}

__global__ void shuffles(int *out) {
  int lane = (int)threadIdx.x, *mine = out + 6 * lane;
  mine[0] = __shfl_sync(0xffffffffu, lane, 5);
  mine[1] = __shfl_up_sync(0xffffffffu, lane, 3);
  mine[2] = __shfl_down_sync(0xffffffffu, lane, 3, 8);
  mine[3] = __shfl_xor_sync(0xffffffffu, lane, 9);
  mine[4] = (int)__shfl_sync(0xffffffffu, (double)lane + 0.5, lane + 1, 4);
  mine[5] = (int)(__shfl_xor_sync(0xffffffffu, (long long)lane << 40, 1) >> 40);
}

__global__ void votes(unsigned *out) {
  int lane = (int)threadIdx.x % 32;
  unsigned *mine = out + 4 * threadIdx.x;
  mine[0] = __ballot_sync(0xffffffffu, lane % 3 == 0);
  mine[1] = (unsigned)__any_sync(0xffffffffu, threadIdx.x == 40);
  mine[2] = (unsigned)__all_sync(0xffffffffu, threadIdx.x >= 32);
  unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  mine[3] = __ballot_sync(half, lane % 2 == 0);
}

__global__ void barriers(int *out) {
  int t = (int)threadIdx.x, *mine = out + 3 * t;
  mine[0] = __syncthreads_count(t % 5 == 0);
  mine[1] = __syncthreads_or(t == 95);
  mine[2] = __syncthreads_and(t != 95);
}

__global__ void atomics(int *counters, float *sum) {
  int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(counters, i);
  atomicMax(counters + 1, i);
  atomicMin(counters + 2, -i);
  atomicOr(counters + 3, 1 << i % 31);
  atomicCAS(counters + 4, 0, i + 1);
  atomicExch(counters + 5, i);
  atomicAdd(sum, 0.5f);
}

__global__ void grid_sync(int *cells, int *out) {
  int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), n = (int)(gridDim.x * blockDim.x);
  for (int round = 0; round < 3; round++) {
    cells[i] = i + round;
    ebb_emulator_grid_sync();
    out[i] = cells[n - 1 - i];
    ebb_emulator_grid_sync();
  }
}

__global__ void first_thread(int *out) { atomicCAS(out, -1, (int)threadIdx.x); }

__global__ void half_words(uint16_t *out) {
  uint16_t *s = static_cast<uint16_t *>(ebb_emulator_shared());
  s[threadIdx.x] = __bfloat16_as_ushort(__float2bfloat16((float)threadIdx.x));
  __syncthreads();
  out[threadIdx.x] = s[63 - threadIdx.x];
}

__global__ void scale(float *x, float factor, int n) {
  int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] *= factor;
}

__noinline__ __device__ int descend(int depth) {
  volatile char frame[512];
  frame[0] = (char)depth;
  return depth > 0 ? descend(depth - 1) + frame[0] : frame[0];
}
__global__ void recursion(int *out, int depth) { *out = descend(depth); }

__global__ void nothing() {}

} // namespace

cudaError_t launch_indices(int *out, dim3 grid, dim3 block, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(indices, grid, block, 0, stream, out);
}
cudaError_t launch_shuffles(int *out, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(shuffles, dim3(1), dim3(32), 0, stream, out);
}
cudaError_t launch_votes(unsigned *out, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(votes, dim3(1), dim3(64), 0, stream, out);
}
cudaError_t launch_barriers(int *out, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(barriers, dim3(1), dim3(96), 0, stream, out);
}
cudaError_t launch_atomics(int *counters, float *sum, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(atomics, dim3(2), dim3(64), 0, stream, counters, sum);
}
cudaError_t launch_grid_sync(int *cells, int *out, int blocks, bool cooperative, cudaStream_t stream) {
  auto launch = cooperative ? ebb_emulator_launch_cooperative : ebb_emulator_launch;
  return launch("grid_sync", dim3((unsigned)blocks), dim3(64), 0, stream, [=] { grid_sync(cells, out); });
}
cudaError_t launch_first_thread(int *out, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(first_thread, dim3(1), dim3(64), 0, stream, out);
}
cudaError_t launch_half_words(uint16_t *out, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(half_words, dim3(1), dim3(64), 128, stream, out);
}
cudaError_t launch_scale(float *x, float factor, int n, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(scale, dim3((unsigned)(n + 127) / 128), dim3(128), 0, stream, x, factor, n);
}
cudaError_t launch_recursion(int *out, int depth, cudaStream_t stream) {
  return EBB_TEST_LAUNCH(recursion, dim3(1), dim3(1), 0, stream, out, depth);
}
cudaError_t launch_nothing(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream) {
  return ebb_emulator_launch("nothing", grid, block, shared_bytes, stream, nothing);
}
