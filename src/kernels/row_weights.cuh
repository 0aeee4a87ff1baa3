/* Row weights of the losses on the device; see src/host/ops/row_weights.h. */
#ifndef EBB_KERNELS_ROW_WEIGHTS_CUH
#define EBB_KERNELS_ROW_WEIGHTS_CUH

#include "kernels/fault.cuh"
#include "kernels/reduce.cuh"

__device__ __forceinline__ float row_weight(const float *weights, int64_t b) {
  return weights ? weights[b] : 1.0f;
}

/* The sum of the weights, for every thread of the block; notes bad weights, and a sum of 0. Rows are looked
   at where their weight is above 0, which a bad one may be. scratch as block_sum. */
static __device__ double row_weight_sum(const float *weights, int64_t B, EbbFaultKind bad_weight,
                                        EbbFaultKind no_weight, EbbFault *fault, double *scratch) {
  double sum = 0;
  for (int64_t b = threadIdx.x; b < B; b += blockDim.x) {
    const double w = (double)row_weight(weights, b);
    if (!(w >= 0 && isfinite(w))) ebb_fault(fault, bad_weight, (double)b, w, 0, 0);
    sum += w;
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0 && !(sum > 0)) ebb_fault(fault, no_weight, (double)B, 0, 0, 0);
  return sum;
}

#endif
