/* Mean squared error. A batch of a few predictions is one launch: a single block sums and joins. Predictions
   of every step of long sequences are summed by up to EBB_MSE_PARTIALS blocks, which one block joins in a
   fixed order. Backward: one thread an element. Bytes: 8 an element forward, 12 backward. */
#include "ebb/ops/mse.h"

#include "kernels/launch.cuh"
#include "kernels/row_weights.cuh"
#include "kernels/storage.cuh"

enum { ONE_BLOCK_THREADS = 1024, ONE_BLOCK_ELEMENTS = 1 << 14, THREADS = 256 };

/* Sums of this block's squares and sizes of the errors; thread 0 gets them. */
static __device__ double2 sum_errors(const EbbMseArgs &a, double *scratch) {
  double squares = 0, sizes = 0;
  const int64_t stride = (int64_t)gridDim.x * blockDim.x;
  for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < a.B * a.O; i += stride) {
    const double w = (double)row_weight(a.weights, i / a.O);
    const double difference = (double)a.x[i] - (double)a.targets[i];
    if (w > 0) squares += w * difference * difference, sizes += w * fabs(difference);
  }
  squares = block_sum(squares, scratch);
  sizes = block_sum(sizes, scratch);
  return make_double2(squares, sizes);
}

/* By one block. */
static __device__ void finish(const EbbMseArgs &a, double2 errors, EbbFault *fault, double *scratch) {
  const double weight_sum =
      row_weight_sum(a.weights, a.B, EBB_FAULT_MSE_WEIGHT, EBB_FAULT_MSE_WEIGHTS, fault, scratch);
  if (threadIdx.x > 0) return;
  *a.loss = (float)(errors.x / ((double)a.O * weight_sum));
  for (int s = 0; s < EBB_SCORE_SUMS; s++) a.scores[s] = 0;
  a.scores[EBB_SCORE_ABSOLUTE] = (float)(errors.y / (double)a.O);
  *a.weight_sum = weight_sum;
}

__global__ void mse_at_once(EbbMseArgs a, EbbFault *fault) {
  EBB_SHARED(double, scratch);
  const double2 errors = sum_errors(a, scratch);
  finish(a, errors, fault, scratch);
}

__global__ void mse_partials(EbbMseArgs a) {
  EBB_SHARED(double, scratch);
  const double2 errors = sum_errors(a, scratch);
  if (threadIdx.x > 0) return;
  a.partials[blockIdx.x] = errors.x;
  a.partials[EBB_MSE_PARTIALS + blockIdx.x] = errors.y;
}

__global__ void mse_join(EbbMseArgs a, int count, EbbFault *fault) {
  EBB_SHARED(double, scratch);
  double squares = 0, sizes = 0;
  for (int i = (int)threadIdx.x; i < count; i += THREADS)
    squares += a.partials[i], sizes += a.partials[EBB_MSE_PARTIALS + i];
  squares = block_sum(squares, scratch);
  sizes = block_sum(sizes, scratch);
  finish(a, make_double2(squares, sizes), fault, scratch);
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
  EbbFault *fault = ebb_fault_of(run);
  const int64_t size = a->B * a->O;
  const size_t scratch = EBB_WARP * sizeof(double);
  if (size <= ONE_BLOCK_ELEMENTS)
    return EBB_LAUNCH(run, mse_at_once, dim3(1), dim3(ebb_threads(size, ONE_BLOCK_THREADS)), scratch, *a,
                      fault);
  const unsigned needed = ebb_blocks(size, THREADS);
  const unsigned blocks = needed < EBB_MSE_PARTIALS ? needed : (unsigned)EBB_MSE_PARTIALS;
  EBB_TRY(EBB_LAUNCH(run, mse_partials, dim3(blocks), dim3(THREADS), scratch, *a));
  return EBB_LAUNCH(run, mse_join, dim3(1), dim3(THREADS), scratch, *a, (int)blocks, fault);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbMseArgs *a = (const EbbMseArgs *)args;
  if (!a->dx) return EBB_OK;
  return EBB_LAUNCH(run, mse_backward, dim3(ebb_blocks(a->B * a->O, THREADS)), dim3(THREADS), 0, *a);
}

extern "C" const EbbKernels ebb_mse_cuda = {forward, backward};
