/* Mean squared error: one block for all, since predictions are a few numbers a sequence and a launch costs
   more than their bytes. Backward: one thread an element. */
#include "ebb/ops/mse.h"

#include "kernels/launch.cuh"
#include "kernels/row_weights.cuh"
#include "kernels/storage.cuh"

enum { LOSS_THREADS = 1024, THREADS = 128 };

__global__ void mse_forward(EbbMseArgs a, EbbFault *fault) {
  EBB_SHARED(double, scratch);
  const double weight_sum =
      row_weight_sum(a.weights, a.B, EBB_FAULT_MSE_WEIGHT, EBB_FAULT_MSE_WEIGHTS, fault, scratch);
  double loss = 0;
  for (int64_t i = threadIdx.x; i < a.B * a.O; i += blockDim.x) {
    const double w = (double)row_weight(a.weights, i / a.O);
    const double difference = (double)a.x[i] - (double)a.targets[i];
    if (w > 0) loss += w * difference * difference;
  }
  loss = block_sum(loss, scratch);
  if (threadIdx.x > 0) return;
  *a.loss = (float)(loss / ((double)a.O * weight_sum));
  *a.weight_sum = weight_sum;
}

__global__ void mse_backward(EbbMseArgs a) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.B * a.O) return;
  const double scale = 2 * (double)*a.dloss / ((double)a.O * *a.weight_sum);
  const float w = (float)(scale * (double)row_weight(a.weights, i / a.O));
  store_or_add(a.dx, i, ebb_mse_dx(w, a.x[i], a.targets[i]), a.add_dx);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbMseArgs *a = (const EbbMseArgs *)args;
  const dim3 threads(ebb_threads(a->B * a->O, LOSS_THREADS));
  return EBB_LAUNCH(run, mse_forward, dim3(1), threads, EBB_WARP * sizeof(double), *a, ebb_fault_of(run));
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbMseArgs *a = (const EbbMseArgs *)args;
  if (!a->dx) return EBB_OK;
  return EBB_LAUNCH(run, mse_backward, dim3(ebb_blocks(a->B * a->O, THREADS)), dim3(THREADS), 0, *a);
}

extern "C" const EbbKernels ebb_mse_cuda = {forward, backward};
