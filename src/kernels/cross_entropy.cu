/* Cross-entropy of class scores: one warp a row, which reads it twice (largest score, then the sum of
   exponentials, added in double), and one block that joins the rows in a fixed order. A batch of a few rows
   is one launch: a single block scores and joins. Bytes: the scores once from memory and once from cache
   forward, 8 a score backward. */
#include "ebb/ops/cross_entropy.h"

#include "kernels/launch.cuh"
#include "kernels/row_weights.cuh"
#include "kernels/storage.cuh"

enum {
  THREADS = 256,
  ONE_BLOCK_ROWS = 128,
  ONE_BLOCK_SCORES = 1 << 15,
  ONE_BLOCK_THREADS = 1024,
  JOIN_THREADS = 256
};

/* The largest score of a row and where it stands, the first of equals. */
struct Best {
  float score;
  int at;
};

static __device__ Best best_of(const float *logits, int V) {
  Best best = {-INFINITY, V};
  for (int v = (int)threadIdx.x % EBB_WARP; v < V; v += EBB_WARP)
    if (logits[v] > best.score) best = {logits[v], v};
  for (int offset = EBB_WARP / 2; offset > 0; offset /= 2) {
    const float score = __shfl_xor_sync(EBB_FULL_WARP, best.score, offset);
    const int at = __shfl_xor_sync(EBB_FULL_WARP, best.at, offset);
    if (score > best.score || (score == best.score && at < best.at)) best = {score, at};
  }
  return best;
}

static __device__ void score_row(const EbbCrossEntropyArgs &a, int64_t b, EbbFault *fault) {
  const float *logits = a.logits + b * a.V;
  const int lane = (int)threadIdx.x % EBB_WARP, V = (int)a.V, label = a.labels[b];
  const Best best = best_of(logits, V);
  double sum = 0;
  for (int v = lane; v < V; v += EBB_WARP) sum += (double)ebb_expf(logits[v] - best.score);
  sum = warp_sum(sum);
  if (lane > 0) return;
  const double lse = (double)best.score + log(sum);
  const bool inside = label >= 0 && label < V;
  if (!inside) ebb_fault(fault, EBB_FAULT_LABEL, (double)label, (double)b, (double)(V - 1), 0);
  a.lse[b] = (float)lse;
  a.rows[2 * b] = inside ? lse - (double)logits[label] : 0;
  a.rows[2 * b + 1] = (double)best.at;
}

/* By one block, after all rows are scored. */
static __device__ void join_rows(const EbbCrossEntropyArgs &a, EbbFault *fault, double *scratch) {
  const double weight_sum = row_weight_sum(a.weights, a.B, EBB_FAULT_CROSS_ENTROPY_WEIGHT,
                                           EBB_FAULT_CROSS_ENTROPY_WEIGHTS, fault, scratch);
  double loss = 0, scores[EBB_SCORE_SUMS] = {};
  for (int64_t b = threadIdx.x; b < a.B; b += blockDim.x) {
    const double w = (double)row_weight(a.weights, b);
    const int label = a.labels[b];
    if (!(w > 0) || label < 0 || label >= a.V) continue;
    loss += w * (double)ebb_class_weight(&a.config, label) * a.rows[2 * b];
    const int predicted = (int)a.rows[2 * b + 1];
    for (int s = 0; s < EBB_SCORE_SUMS; s++) scores[s] += w * ebb_class_score(s, predicted, label);
  }
  loss = block_sum(loss, scratch);
  for (int s = 0; s < EBB_SCORE_SUMS; s++) scores[s] = block_sum(scores[s], scratch);
  if (threadIdx.x > 0) return;
  *a.loss = (float)(loss / weight_sum);
  for (int s = 0; s < EBB_SCORE_SUMS; s++) a.scores[s] = (float)scores[s];
  *a.weight_sum = weight_sum;
}

__global__ void score_rows(EbbCrossEntropyArgs a, EbbFault *fault) {
  EBB_SHARED(double, scratch);
  const int warps = (int)blockDim.x / EBB_WARP;
  for (int64_t b = (int64_t)blockIdx.x * warps + threadIdx.x / EBB_WARP; b < a.B;
       b += (int64_t)gridDim.x * warps)
    if (row_weight(a.weights, b) > 0) score_row(a, b, fault);
  if (gridDim.x > 1) return;
  __syncthreads();
  join_rows(a, fault, scratch);
}

__global__ void join_all_rows(EbbCrossEntropyArgs a, EbbFault *fault) {
  EBB_SHARED(double, scratch);
  join_rows(a, fault, scratch);
}

/* One thread a score. */
__global__ void score_gradient(EbbCrossEntropyArgs a) {
  const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (at >= a.B * a.V) return;
  const int64_t b = at / a.V, v = at % a.V, label = a.labels[b];
  const double w = (double)row_weight(a.weights, b);
  float gradient = 0;
  if (w > 0 && label >= 0 && label < a.V) {
    const double weight = w * (double)ebb_class_weight(&a.config, label);
    const float scale = (float)((double)*a.dloss / *a.weight_sum * weight);
    gradient = scale * ebb_class_probability(a.logits[at], a.lse[b]) - (v == label ? scale : 0.0f);
  }
  store_or_add(a.dlogits, at, gradient, a.add_dlogits);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbCrossEntropyArgs *a = (const EbbCrossEntropyArgs *)args;
  EbbFault *fault = ebb_fault_of(run);
  const size_t scratch = EBB_WARP * sizeof(double);
  if (a->B <= ONE_BLOCK_ROWS && a->B * a->V <= ONE_BLOCK_SCORES)
    return EBB_LAUNCH(run, score_rows, dim3(1), dim3(ebb_threads(a->B * EBB_WARP, ONE_BLOCK_THREADS)),
                      scratch, *a, fault);
  const dim3 blocks(ebb_blocks(a->B, THREADS / EBB_WARP));
  EBB_TRY(EBB_LAUNCH(run, score_rows, blocks, dim3(THREADS), scratch, *a, fault));
  return EBB_LAUNCH(run, join_all_rows, dim3(1), dim3(JOIN_THREADS), scratch, *a, fault);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbCrossEntropyArgs *a = (const EbbCrossEntropyArgs *)args;
  if (!a->dlogits) return EBB_OK;
  return EBB_LAUNCH(run, score_gradient, dim3(ebb_blocks(a->B * a->V, THREADS)), dim3(THREADS), 0, *a);
}

extern "C" const EbbKernels ebb_cross_entropy_cuda = {forward, backward};
