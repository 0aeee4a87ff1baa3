/* Layer norm over the last axis. Forward and dx: one warp a row, which its three passes find in the cache.
   Weight and bias: a block takes 32 columns of a part of the rows, its warps every eighth row; a second
   kernel adds the parts. Bytes: 8 an element forward, 20 backward. */
#include "ebb/ops/row_norm.h"

#include "kernels/launch.cuh"
#include "kernels/norm_columns.cuh"
#include "kernels/reduce.cuh"
#include "kernels/storage.cuh"

enum { THREADS = 128, WARPS = THREADS / EBB_WARP, PART_WARPS = 8, PART_THREADS = PART_WARPS * EBB_WARP };

__global__ void row_norm_forward(EbbRowNormArgs a) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  const int64_t r = (int64_t)blockIdx.x * WARPS + threadIdx.x / EBB_WARP;
  if (r >= a.R) return;
  const float *x = a.x + r * a.H;
  float sum = 0, squares = 0;
  for (int64_t h = lane; h < a.H; h += EBB_WARP) sum += x[h];
  const float mean = warp_sum(sum) / (float)a.H;
  for (int64_t h = lane; h < a.H; h += EBB_WARP) squares += (x[h] - mean) * (x[h] - mean);
  const float rstd = ebb_norm_rstd(warp_sum(squares) / (float)a.H, (float)a.eps);
  for (int64_t h = lane; h < a.H; h += EBB_WARP)
    a.y[r * a.H + h] = ebb_norm_apply(x[h], mean, rstd * a.weight[h], a.bias[h]);
  if (lane == 0) a.mean[r] = mean, a.rstd[r] = rstd;
}

__global__ void row_norm_input_gradient(EbbRowNormArgs a) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  const int64_t r = (int64_t)blockIdx.x * WARPS + threadIdx.x / EBB_WARP;
  if (r >= a.R) return;
  const float *x = a.x + r * a.H, *dy = a.dy + r * a.H;
  const float mean = a.mean[r], rstd = a.rstd[r], inverse = 1.0f / (float)a.H;
  float sum_g = 0, sum_dot = 0;
  for (int64_t h = lane; h < a.H; h += EBB_WARP) {
    const float g = dy[h] * a.weight[h];
    sum_g += g, sum_dot += g * (x[h] - mean) * rstd;
  }
  const float mean_g = warp_sum(sum_g) * inverse, mean_dot = warp_sum(sum_dot) * inverse;
  for (int64_t h = lane; h < a.H; h += EBB_WARP)
    store_or_add(a.dx, r * a.H + h,
                 ebb_layer_norm_dx(dy[h] * a.weight[h], (x[h] - mean) * rstd, rstd, mean_g, mean_dot),
                 a.add_dx);
}

__global__ void row_norm_parts(EbbRowNormArgs a) {
  EBB_SHARED(float, sums);
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int64_t columns = (a.H + EBB_WARP - 1) / EBB_WARP, part = blockIdx.x / columns;
  const int64_t h = blockIdx.x % columns * EBB_WARP + lane, from = part * a.part_rows;
  const int64_t end = from + a.part_rows < a.R ? from + a.part_rows : a.R;
  float weight = 0, bias = 0;
  for (int64_t r = from + warp; r < end && h < a.H; r += PART_WARPS) {
    const float dy = a.dy[r * a.H + h];
    weight += dy * (a.x[r * a.H + h] - a.mean[r]) * a.rstd[r];
    bias += dy;
  }
  sums[threadIdx.x] = weight, sums[PART_THREADS + threadIdx.x] = bias;
  __syncthreads();
  if (warp > 0 || h >= a.H) return;
  for (int w = 1; w < PART_WARPS; w++) {
    weight += sums[w * EBB_WARP + lane];
    bias += sums[PART_THREADS + w * EBB_WARP + lane];
  }
  a.partial[part * 2 * a.H + h] = weight, a.partial[(part * 2 + 1) * a.H + h] = bias;
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbRowNormArgs *a = (const EbbRowNormArgs *)args;
  return EBB_LAUNCH(run, row_norm_forward, dim3(ebb_blocks(a->R, WARPS)), dim3(THREADS), 0, *a);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbRowNormArgs *a = (const EbbRowNormArgs *)args;
  if (a->dx)
    EBB_TRY(EBB_LAUNCH(run, row_norm_input_gradient, dim3(ebb_blocks(a->R, WARPS)), dim3(THREADS), 0, *a));
  if (!a->dweight && !a->dbias) return EBB_OK;
  EBB_TRY(EBB_LAUNCH(run, row_norm_parts, dim3((unsigned)(a->parts * ebb_blocks(a->H, EBB_WARP))),
                     dim3(PART_THREADS), 2 * PART_THREADS * sizeof(float), *a));
  return ebb_launch_join(run, (const float *)a->partial, a->parts, a->H, a->dweight, a->dbias);
}

extern "C" const EbbKernels ebb_row_norm_cuda = {forward, backward};
