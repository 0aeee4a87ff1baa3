/* Attention: products by cuBLAS, batched over heads or over rows, whichever are more; between them a warp
   takes a row of scores. Bytes of a row kernel: 16 T^2 a head forward (scores to p and weights), 16 T^2
   backward. */
#include "ebb/ops/leaky_attention.h"

#include "kernels/fault.cuh"
#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"

enum { THREADS = 128, WARPS = THREADS / EBB_WARP };

__device__ __forceinline__ float warp_max(float value) {
  for (int offset = EBB_WARP / 2; offset > 0; offset /= 2)
    value = fmaxf(value, __shfl_xor_sync(EBB_FULL_WARP, value, offset));
  return value;
}

/* A warp's row of a (B, heads, T, T) matrix. */
struct Row {
  int64_t at, keys;
  bool valid;
};

/* The row's number of keys, within 1..T whatever the lengths are. */
__device__ __forceinline__ Row row_of(const EbbLeakyAttentionArgs &a) {
  const int64_t row = (int64_t)blockIdx.x * WARPS + threadIdx.x / EBB_WARP;
  if (row >= a.B * a.heads * a.T) return {0, 0, false};
  const int64_t keys = ebb_leaky_keys(&a, row / (a.heads * a.T), row % a.T);
  return {row * a.T, keys < 1 ? 1 : keys > a.T ? a.T : keys, true};
}

__global__ void leaky_rows_forward(EbbLeakyAttentionArgs a, EbbFault *fault) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  const Row row = row_of(a);
  if (!row.valid) return;
  const int64_t matrix = a.heads * a.T * a.T, b = row.at / matrix;
  if (a.lengths && row.at % matrix == 0 && lane == 0 && (a.lengths[b] < 1 || a.lengths[b] > a.T))
    ebb_fault(fault, EBB_FAULT_ATTENTION_LENGTH, (double)b, (double)a.lengths[b], (double)a.T, 0);
  float *p = a.p + row.at, *w = a.weights + row.at, most = -INFINITY, sum = 0, total = 0;
  for (int64_t j = lane; j < row.keys; j += EBB_WARP) most = fmaxf(most, p[j]);
  most = warp_max(most);
  for (int64_t j = lane; j < row.keys; j += EBB_WARP) sum += p[j] = ebb_expf(p[j] - most);
  const float inverse = 1.0f / warp_sum(sum);
  for (int64_t j = lane; j < row.keys; j += EBB_WARP) total += w[j] = ebb_sigmoidf(p[j] *= inverse);
  for (int64_t j = row.keys + lane; j < a.T; j += EBB_WARP) p[j] = 0, w[j] = a.published ? 0.5f : 0.0f;
  const float share = a.published ? 1.0f : 1.0f / warp_sum(total);
  for (int64_t j = lane; j < row.keys; j += EBB_WARP) w[j] *= share;
}

/* ds holds dL/dw and becomes dL/d(score). */
__global__ void leaky_rows_backward(EbbLeakyAttentionArgs a) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  const Row row = row_of(a);
  if (!row.valid) return;
  const float *p = a.p + row.at, *w = a.weights + row.at;
  float *ds = a.ds + row.at, mean = 0, share = 1, dot = 0;
  if (!a.published) {
    float total = 0;
    for (int64_t j = lane; j < row.keys; j += EBB_WARP) total += ebb_sigmoidf(p[j]), mean += ds[j] * w[j];
    mean = warp_sum(mean), share = 1.0f / warp_sum(total);
  }
  for (int64_t j = lane; j < row.keys; j += EBB_WARP) {
    ds[j] = ebb_leaky_dp((ds[j] - mean) * share, p[j]);
    dot += ds[j] * p[j];
  }
  dot = warp_sum(dot);
  for (int64_t j = lane; j < row.keys; j += EBB_WARP) ds[j] = p[j] * (ds[j] - dot);
  for (int64_t j = row.keys + lane; j < a.T; j += EBB_WARP) ds[j] = 0;
}

/* ---- products ---- */

/* A (B, T, D) tensor as slices of heads, or a (B, heads, T, T) one. */
struct Operand {
  const float *data;
  bool slices, transpose;
};

struct Strides {
  int64_t row, head, ld;
};

static Strides strides_of(const EbbLeakyAttentionArgs *a, bool slices) {
  if (slices) return {a->T * a->D, a->D / a->heads, a->D};
  return {a->heads * a->T * a->T, a->T * a->T, a->T};
}

/* to = alpha left right, or += where add is set, for every head of every row. */
static EbbStatus multiply(const EbbLeakyAttentionArgs *a, const EbbRun *run, float alpha, Operand left,
                          Operand right, bool slices, bool add, float *to) {
  const bool over_rows = a->B > a->heads;
  const Strides l = strides_of(a, left.slices), r = strides_of(a, right.slices), t = strides_of(a, slices);
  const int64_t width = a->D / a->heads;
  if (!to) return EBB_OK;
  for (int64_t i = 0; i < (over_rows ? a->heads : a->B); i++) {
    EbbCudaGemm product = {};
    product.a = {left.data + i * (over_rows ? l.head : l.row), EBB_F32, l.ld, over_rows ? l.row : l.head,
                 left.transpose};
    product.b = {right.data + i * (over_rows ? r.head : r.row), EBB_F32, r.ld, over_rows ? r.row : r.head,
                 right.transpose};
    product.c = to + i * (over_rows ? t.head : t.row);
    product.ldc = t.ld, product.stride_c = over_rows ? t.row : t.head;
    product.m = a->T, product.n = slices ? width : a->T, product.k = slices ? a->T : width;
    product.batch = over_rows ? a->B : a->heads;
    product.alpha = alpha, product.beta = add ? 1.0f : 0.0f;
    EBB_TRY(ebb_cuda_gemm(run, &product));
  }
  return EBB_OK;
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLeakyAttentionArgs *a = (const EbbLeakyAttentionArgs *)args;
  const unsigned blocks = ebb_blocks(a->B * a->heads * a->T, WARPS);
  EBB_TRY(multiply(a, run, a->scale, {a->q, true, false}, {a->k, true, true}, false, false, a->p));
  EBB_TRY(EBB_LAUNCH(run, leaky_rows_forward, dim3(blocks), dim3(THREADS), 0, *a, ebb_fault_of(run)));
  return multiply(a, run, 1, {a->weights, false, false}, {a->v, true, false}, true, false, a->y);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLeakyAttentionArgs *a = (const EbbLeakyAttentionArgs *)args;
  const unsigned blocks = ebb_blocks(a->B * a->heads * a->T, WARPS);
  EBB_TRY(multiply(a, run, 1, {a->weights, false, true}, {a->dy, true, false}, true, a->add_dv, a->dv));
  if (!a->dq && !a->dk) return EBB_OK;
  EBB_TRY(multiply(a, run, 1, {a->dy, true, false}, {a->v, true, true}, false, false, a->ds));
  EBB_TRY(EBB_LAUNCH(run, leaky_rows_backward, dim3(blocks), dim3(THREADS), 0, *a));
  EBB_TRY(multiply(a, run, a->scale, {a->ds, false, false}, {a->k, true, false}, true, a->add_dq, a->dq));
  return multiply(a, run, a->scale, {a->ds, false, true}, {a->q, true, false}, true, a->add_dk, a->dk);
}

extern "C" const EbbKernels ebb_leaky_attention_cuda = {forward, backward};
