/* Features of pairs: one thread a pair and channel. The tensors are small (a vector a document); what counts
   is one launch each way. Bytes: 24 a pair and channel forward, 32 backward. */
#include "ebb/ops/retrieval.h"

#include "kernels/launch.cuh"
#include "kernels/storage.cuh"

enum { THREADS = 128 };

__global__ void retrieval_forward(EbbRetrievalArgs a) {
  const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (at >= a.B * a.H) return;
  const int64_t b = at / a.H, h = at % a.H;
  const float first = a.x[at], second = a.x[a.B * a.H + at];
  float *y = a.y + b * 4 * a.H + h;
  y[0] = first, y[a.H] = second;
  y[2 * a.H] = first - second;
  y[3 * a.H] = first * second;
}

__global__ void retrieval_backward(EbbRetrievalArgs a) {
  const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x, other = a.B * a.H + at;
  if (at >= a.B * a.H) return;
  const int64_t b = at / a.H, h = at % a.H;
  const float *dy = a.dy + b * 4 * a.H + h;
  const float first = a.x[at], second = a.x[other];
  const float difference = dy[2 * a.H], product = dy[3 * a.H];
  store_or_add(a.dx, at, ebb_retrieval_dfirst(dy[0], difference, product, second), a.add_dx);
  store_or_add(a.dx, other, ebb_retrieval_dsecond(dy[a.H], difference, product, first), a.add_dx);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbRetrievalArgs *a = (const EbbRetrievalArgs *)args;
  return EBB_LAUNCH(run, retrieval_forward, dim3(ebb_blocks(a->B * a->H, THREADS)), dim3(THREADS), 0, *a);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbRetrievalArgs *a = (const EbbRetrievalArgs *)args;
  if (!a->dx) return EBB_OK;
  return EBB_LAUNCH(run, retrieval_backward, dim3(ebb_blocks(a->B * a->H, THREADS)), dim3(THREADS), 0, *a);
}

extern "C" const EbbKernels ebb_retrieval_cuda = {forward, backward};
