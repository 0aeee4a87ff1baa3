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
