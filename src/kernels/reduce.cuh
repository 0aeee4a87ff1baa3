/* Sums over the threads of a warp and of a block, in an order that never changes. */
#ifndef EBB_KERNELS_REDUCE_CUH
#define EBB_KERNELS_REDUCE_CUH

#include <cuda_runtime.h>

enum { EBB_WARP = 32 };
#define EBB_FULL_WARP 0xffffffffu

/* Every lane gets the sum. */
template <class T> __device__ __forceinline__ T warp_sum(T value) {
  for (int offset = EBB_WARP / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(EBB_FULL_WARP, value, offset);
  return value;
}

/* Sums of N values a lane, N a power of two up to 32: lane i gets the sum of the lanes' value[i % N]. One
   exchange halves the values of a lane, so that this takes N + 4 - log2 N shuffles, not 5 N. */
template <int N> __device__ __forceinline__ float warp_sums(const float (&values)[N]) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  float v[N];
  for (int i = 0; i < N; i++) v[i] = values[i];
#pragma unroll
  for (int half = N / 2; half > 0; half /= 2)
#pragma unroll
    for (int i = 0; i < half; i++) {
      const bool upper = (lane & half) != 0;
      const float kept = upper ? v[i + half] : v[i], given = upper ? v[i] : v[i + half];
      v[i] = kept + __shfl_xor_sync(EBB_FULL_WARP, given, half);
    }
#pragma unroll
  for (int offset = N; offset < EBB_WARP; offset *= 2) v[0] += __shfl_xor_sync(EBB_FULL_WARP, v[0], offset);
  return v[0];
}

/* Every thread of a one-dimensional block gets the sum. scratch: 32 values of shared memory, free again when
   the call returns. */
template <class T> __device__ __forceinline__ T block_sum(T value, T *scratch) {
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int warps = (int)blockDim.x / EBB_WARP;
  value = warp_sum(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = warp_sum(lane < warps ? scratch[lane] : (T)0);
  __syncthreads();
  return value;
}

#endif
