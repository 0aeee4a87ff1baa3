/* Rows backwards in time: one thread an element. Bytes: 8 an element. */
#include "ebb/ops/reverse.h"

#include "kernels/fault.cuh"
#include "kernels/launch.cuh"

enum { THREADS = 256 };

/* Steps of row b; of a length outside 0..T, none. */
__device__ __forceinline__ int64_t length_of(const EbbReverseArgs &a, int64_t b) {
  const int64_t length = a.lengths ? a.lengths[b] : a.T;
  return length < 0 || length > a.T ? 0 : length;
}

__global__ void reverse_steps(EbbReverseArgs a, const float *from, float *to, bool add, EbbFault *fault) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.B * a.T * a.C) return;
  const int64_t row = i / a.C, b = row / a.T, t = row % a.T;
  if (i % (a.T * a.C) == 0 && a.lengths && (a.lengths[b] < 0 || a.lengths[b] > a.T))
    ebb_fault(fault, EBB_FAULT_REVERSE, (double)b, (double)a.lengths[b], (double)a.T, 0);
  const int64_t step = ebb_reverse_step(t, length_of(a, b), a.intervals);
  to[i] = (add ? to[i] : 0.0f) + from[(b * a.T + step) * a.C + i % a.C];
}

static EbbStatus launch(const EbbReverseArgs &a, const EbbRun *run, const float *from, float *to, bool add) {
  return EBB_LAUNCH(run, reverse_steps, dim3(ebb_blocks(a.B * a.T * a.C, THREADS)), dim3(THREADS), 0, a, from,
                    to, add, ebb_fault_of(run));
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbReverseArgs &a = *(const EbbReverseArgs *)args;
  return launch(a, run, a.x, a.y, false);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbReverseArgs &a = *(const EbbReverseArgs *)args;
  return a.dx ? launch(a, run, a.dy, a.dx, a.add_dx) : EBB_OK;
}

extern "C" const EbbKernels ebb_reverse_cuda = {forward, backward};
