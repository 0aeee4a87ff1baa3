/* The last step of every row. Forward: one thread an output. Backward: one thread an element of dx, zeros
   included, or of dy where it adds. */
#include "ebb/ops/last_step.h"

#include "kernels/fault.cuh"
#include "kernels/launch.cuh"

enum { THREADS = 256 };

/* Step of row b; of a length outside 1..T, the nearest one. */
__device__ __forceinline__ int64_t last_of(const EbbLastStepArgs &a, int64_t b) {
  const int64_t length = a.lengths ? a.lengths[b] : a.T;
  return (length < 1 ? 1 : length > a.T ? a.T : length) - 1;
}

__global__ void last_step_forward(EbbLastStepArgs a, EbbFault *fault) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.B * a.H) return;
  const int64_t b = i / a.H, h = i % a.H;
  if (h == 0 && a.lengths && (a.lengths[b] < 1 || a.lengths[b] > a.T))
    ebb_fault(fault, EBB_FAULT_LAST_STEP, (double)b, (double)a.lengths[b], (double)a.T, 0);
  a.y[i] = a.x[(b * a.T + last_of(a, b)) * a.H + h];
}

__global__ void last_step_add(EbbLastStepArgs a) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.B * a.H) return;
  const int64_t b = i / a.H, h = i % a.H;
  a.dx[(b * a.T + last_of(a, b)) * a.H + h] += a.dy[i];
}

__global__ void last_step_spread(EbbLastStepArgs a) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.B * a.T * a.H) return;
  const int64_t row = i / a.H, b = row / a.T;
  a.dx[i] = row % a.T == last_of(a, b) ? a.dy[b * a.H + i % a.H] : 0.0f;
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLastStepArgs *a = (const EbbLastStepArgs *)args;
  return EBB_LAUNCH(run, last_step_forward, dim3(ebb_blocks(a->B * a->H, THREADS)), dim3(THREADS), 0, *a,
                    ebb_fault_of(run));
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLastStepArgs *a = (const EbbLastStepArgs *)args;
  if (!a->dx) return EBB_OK;
  if (a->add_dx)
    return EBB_LAUNCH(run, last_step_add, dim3(ebb_blocks(a->B * a->H, THREADS)), dim3(THREADS), 0, *a);
  return EBB_LAUNCH(run, last_step_spread, dim3(ebb_blocks(a->B * a->T * a->H, THREADS)), dim3(THREADS), 0,
                    *a);
}

extern "C" const EbbKernels ebb_last_step_cuda = {forward, backward};
