/* A residual connection with dropout: one thread takes four neighbours, which share a Philox block. Bytes: 12
   an element forward, 12 backward. */
#include "ebb/ops/residual.h"

#include "kernels/dropout.cuh"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"

enum { THREADS = 256 };

template <int N> __device__ __forceinline__ Pack<N> factors(const EbbDrop &drop, int64_t i) {
  Pack<N> factor;
  if constexpr (N == 4)
    drop_factors4(drop, i, factor.at);
  else
    factor.at[0] = drop_factor(drop, i);
  return factor;
}

template <int N> __global__ void residual_forward(EbbResidualArgs a, EbbDrop drop) {
  const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
  if (i >= a.size) return;
  const Pack<N> r = load_pack<N>(a.r, i), factor = factors<N>(drop, i);
  Pack<N> y = {};
  if (a.x) y = load_pack<N>(a.x, i);
  for (int k = 0; k < N; k++) y.at[k] += factor.at[k] * r.at[k];
  store_pack(a.y, i, y);
}

template <int N> __global__ void residual_backward(EbbResidualArgs a, EbbDrop drop) {
  const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
  if (i >= a.size) return;
  Pack<N> dy = load_pack<N>(a.dy, i);
  if (a.dx) store_or_add_pack(a.dx, i, dy, a.add_dx);
  if (!a.dr) return;
  const Pack<N> factor = factors<N>(drop, i);
  for (int k = 0; k < N; k++) dy.at[k] *= factor.at[k];
  store_or_add_pack(a.dr, i, dy, a.add_dr);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbResidualArgs *a = (const EbbResidualArgs *)args;
  EBB_PACK_DISPATCH(a->size, N, {
    return EBB_LAUNCH(run, residual_forward<N>, dim3(ebb_blocks(a->size, THREADS * N)), dim3(THREADS), 0, *a,
                      ebb_drop_of(run, a->node, a->dropout));
  });
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbResidualArgs *a = (const EbbResidualArgs *)args;
  if (!a->dx && !a->dr) return EBB_OK;
  EBB_PACK_DISPATCH(a->size, N, {
    return EBB_LAUNCH(run, residual_backward<N>, dim3(ebb_blocks(a->size, THREADS * N)), dim3(THREADS), 0, *a,
                      ebb_drop_of(run, a->node, a->dropout));
  });
}

extern "C" const EbbKernels ebb_residual_cuda = {forward, backward};
