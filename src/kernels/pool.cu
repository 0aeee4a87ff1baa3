/* Pooling over time. The mean: one block a row (b, h), rows read along l. The last step: one thread a row.
   Backward: one block a row again, which also writes the zeros behind the span. Bytes: B H L elements read
   forward, written backward. */
#include "ebb/ops/pool.h"

#include "kernels/fault.cuh"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/reduce.cuh"

enum { THREADS_MOST = 256, LAST_THREADS = 128 };

/* The span of row b; of a length outside the sequence, what lies inside it. */
static __device__ EbbPoolSpan span_of(const EbbPoolArgs &a, int64_t b) {
  int64_t end = a.lengths ? a.lengths[b] : a.L;
  end = end < 1 ? 1 : end > a.L ? a.L : end;
  return ebb_pool_span(a.kind, end);
}

static __device__ void check_length(const EbbPoolArgs &a, int64_t b, EbbFault *fault) {
  if (!a.lengths) return;
  const int64_t length = a.lengths[b];
  if (length < 1 || length > a.L)
    ebb_fault(fault, EBB_FAULT_LENGTH, (double)b, (double)length, (double)a.L, 0);
}

template <class S, int N> __global__ void pool_mean(EbbPoolArgs a, EbbFault *fault) {
  EBB_SHARED(double, scratch);
  const int64_t row = blockIdx.x, end = span_of(a, row / a.H).end;
  if (threadIdx.x == 0) check_length(a, row / a.H, fault);
  const S *x = as<S>(a.x) + row * a.L;
  float sum = 0;
  for (int64_t l = (int64_t)threadIdx.x * N; l < end; l += (int64_t)blockDim.x * N) {
    const Pack<N> pack = load_pack<N>(x, l);
    for (int k = 0; k < N; k++) sum += l + k < end ? pack.at[k] : 0.0f;
  }
  const double total = block_sum((double)sum, scratch);
  if (threadIdx.x == 0) a.y[row] = (float)(total / (double)end);
}

template <class S> __global__ void pool_last(EbbPoolArgs a, EbbFault *fault) {
  const int64_t row = (int64_t)blockIdx.x * LAST_THREADS + threadIdx.x;
  if (row >= a.B * a.H) return;
  check_length(a, row / a.H, fault);
  a.y[row] = load(as<S>(a.x), row * a.L + span_of(a, row / a.H).from);
}

template <class S, int N> __global__ void pool_backward(EbbPoolArgs a) {
  const int64_t row = blockIdx.x;
  const EbbPoolSpan span = span_of(a, row / a.H);
  const float share = a.dy[row] / (float)(span.end - span.from);
  const int64_t from = a.add_dx ? span.from / N * N : 0, end = a.add_dx ? span.end : a.L;
  S *dx = as<S>(a.dx) + row * a.L;
  for (int64_t l = from + (int64_t)threadIdx.x * N; l < end; l += (int64_t)blockDim.x * N) {
    Pack<N> pack;
    for (int k = 0; k < N; k++) pack.at[k] = l + k >= span.from && l + k < span.end ? share : 0.0f;
    store_or_add_pack(dx, l, pack, a.add_dx);
  }
}

static dim3 threads_of(const EbbPoolArgs *a, int N) {
  return dim3(ebb_threads((a->L + N - 1) / N, THREADS_MOST));
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbPoolArgs *a = (const EbbPoolArgs *)args;
  EbbFault *fault = ebb_fault_of(run);
  EBB_STORAGE_DISPATCH(a->storage, S, {
    if (a->kind == EBB_POOL_LAST)
      return EBB_LAUNCH(run, pool_last<S>, dim3(ebb_blocks(a->B * a->H, LAST_THREADS)), dim3(LAST_THREADS), 0,
                        *a, fault);
    EBB_PACK_DISPATCH(a->L, N, {
      return EBB_LAUNCH(run, (pool_mean<S, N>), dim3((unsigned)(a->B * a->H)), threads_of(a, N),
                        EBB_WARP * sizeof(double), *a, fault);
    });
  });
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbPoolArgs *a = (const EbbPoolArgs *)args;
  if (!a->dx) return EBB_OK;
  EBB_STORAGE_DISPATCH(a->storage, S, {
    EBB_PACK_DISPATCH(a->L, N, {
      return EBB_LAUNCH(run, (pool_backward<S, N>), dim3((unsigned)(a->B * a->H)), threads_of(a, N), 0, *a);
    });
  });
}

extern "C" const EbbKernels ebb_pool_cuda = {forward, backward};
