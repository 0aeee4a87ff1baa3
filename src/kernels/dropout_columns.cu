/* Factors of dropout as further features: a thread draws four neighbours of the factors, which share a Philox
   block, or copies one element of x. Bytes: 8 an element of x, 4 a factor; backward 8 an element of x. */
#include "ebb/ops/dropout_columns.h"

#include "kernels/dropout.cuh"
#include "kernels/launch.cuh"

enum { THREADS = 256, FACTORS = 4 };

static __host__ __device__ __forceinline__ int64_t draws_of(const EbbDropoutColumnsArgs &a) {
  return (a.rows * a.W + FACTORS - 1) / FACTORS;
}

/* Element `i` of the rows of `width` columns from `first` on, as an element of y. */
__device__ __forceinline__ int64_t place(const EbbDropoutColumnsArgs &a, int64_t i, int64_t width,
                                         int64_t first) {
  return i / width * (a.I + a.W) + first + i % width;
}

__global__ void dropout_columns_forward(EbbDropoutColumnsArgs a, EbbDrop drop) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, copied = i - draws_of(a);
  if (copied >= a.rows * a.I) return;
  if (copied >= 0) {
    a.y[place(a, copied, a.I, 0)] = a.x[copied];
    return;
  }
  float factor[FACTORS];
  drop_factors4(drop, i * FACTORS, factor);
  for (int k = 0; k < FACTORS; k++)
    if (i * FACTORS + k < a.rows * a.W) a.y[place(a, i * FACTORS + k, a.W, a.I)] = factor[k];
}

__global__ void dropout_columns_backward(EbbDropoutColumnsArgs a) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.rows * a.I) return;
  a.dx[i] = (a.add_dx ? a.dx[i] : 0.0f) + a.dy[place(a, i, a.I, 0)];
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbDropoutColumnsArgs &a = *(const EbbDropoutColumnsArgs *)args;
  return EBB_LAUNCH(run, dropout_columns_forward, dim3(ebb_blocks(draws_of(a) + a.rows * a.I, THREADS)),
                    dim3(THREADS), 0, a, ebb_drop_of(run, a.node, a.dropout));
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbDropoutColumnsArgs &a = *(const EbbDropoutColumnsArgs *)args;
  if (!a.dx) return EBB_OK;
  return EBB_LAUNCH(run, dropout_columns_backward, dim3(ebb_blocks(a.rows * a.I, THREADS)), dim3(THREADS), 0,
                    a);
}

extern "C" const EbbKernels ebb_dropout_columns_cuda = {forward, backward};
