/* Linear layer. Small ones (a decoder: a few rows to a few classes) would only pay for launches with cuBLAS:
   one kernel makes an output a warp, one thread a weight's gradient, one thread an input's. Larger ones fill
   the bias in and let cuBLAS add the product. Bytes of a large one: 4 (R I + O I + 2 R O) forward. */
#include "ebb/ops/linear.h"

#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"
#include "kernels/storage.cuh"

enum { THREADS = 128, WARPS = THREADS / EBB_WARP, COLUMN_WARPS = 8 };
static const int64_t small_products = 1 << 20, small_rows = 1024;

static bool is_small(const EbbLinearArgs *a) {
  return a->R <= small_rows && a->R * a->O * a->I <= small_products;
}

__global__ void small_forward(EbbLinearArgs a) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  const int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.x / EBB_WARP;
  if (at >= a.R * a.O) return;
  const int64_t r = at / a.O, o = at % a.O;
  const float *x = a.x + r * a.I;
  float sum = 0;
  for (int64_t i = lane; i < a.I; i += EBB_WARP) sum += x[i] * a.weight[ebb_linear_at(&a, o, i)];
  sum = warp_sum(sum);
  if (lane == 0) a.y[at] = sum + a.bias[o];
}

/* One thread a weight; that of input 0 takes the bias too. */
__global__ void small_weight_gradient(EbbLinearArgs a) {
  const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (at >= a.O * a.I) return;
  const int64_t o = a.inputs_first ? at % a.O : at / a.I, i = a.inputs_first ? at / a.O : at % a.I;
  float sum = 0;
  double bias = 0;
  for (int64_t r = 0; r < a.R; r++) {
    const float dy = a.dy[r * a.O + o];
    sum += dy * a.x[r * a.I + i];
    bias += (double)dy;
  }
  if (a.dweight) a.dweight[at] += sum;
  if (a.dbias && i == 0) a.dbias[o] += (float)bias;
}

__global__ void small_input_gradient(EbbLinearArgs a) {
  const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (at >= a.R * a.I) return;
  const int64_t r = at / a.I, i = at % a.I;
  float sum = 0;
  for (int64_t o = 0; o < a.O; o++) sum += a.dy[r * a.O + o] * a.weight[ebb_linear_at(&a, o, i)];
  store_or_add(a.dx, at, sum, a.add_dx);
}

__global__ void fill_bias(EbbLinearArgs a) {
  const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (at < a.R * a.O) a.y[at] = a.bias[at % a.O];
}

/* A block takes 32 outputs; each of its warps adds every COLUMN_WARPS-th row, the first one joins them. */
__global__ void bias_gradient(EbbLinearArgs a) {
  EBB_SHARED(double, sums);
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int64_t o = (int64_t)blockIdx.x * EBB_WARP + lane;
  double sum = 0;
  if (o < a.O)
    for (int64_t r = warp; r < a.R; r += COLUMN_WARPS) sum += (double)a.dy[r * a.O + o];
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (warp > 0 || o >= a.O) return;
  for (int w = 1; w < COLUMN_WARPS; w++) sum += sums[w * EBB_WARP + lane];
  a.dbias[o] += (float)sum;
}

/* The weight as a (I, O) factor (transpose) or a (O, I) one. */
static EbbCudaMatrix weight_of(const EbbLinearArgs *a, bool transpose) {
  return {a->weight, EBB_F32, a->inputs_first ? a->O : a->I, 0, transpose != a->inputs_first};
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLinearArgs *a = (const EbbLinearArgs *)args;
  const int64_t outputs = a->R * a->O;
  if (is_small(a))
    return EBB_LAUNCH(run, small_forward, dim3(ebb_blocks(outputs, WARPS)), dim3(THREADS), 0, *a);
  EBB_TRY(EBB_LAUNCH(run, fill_bias, dim3(ebb_blocks(outputs, THREADS)), dim3(THREADS), 0, *a));
  EbbCudaGemm product = {};
  product.a = {a->x, EBB_F32, a->I, 0, false}, product.b = weight_of(a, true);
  product.c = a->y, product.ldc = a->O;
  product.m = a->R, product.n = a->O, product.k = a->I, product.batch = 1;
  product.alpha = 1, product.beta = 1;
  return ebb_cuda_gemm(run, &product);
}

static EbbStatus small_backward(const EbbLinearArgs *a, const EbbRun *run) {
  const dim3 weights(ebb_blocks(a->O * a->I, THREADS)), inputs(ebb_blocks(a->R * a->I, THREADS));
  if (a->dweight || a->dbias) EBB_TRY(EBB_LAUNCH(run, small_weight_gradient, weights, dim3(THREADS), 0, *a));
  return a->dx ? EBB_LAUNCH(run, small_input_gradient, inputs, dim3(THREADS), 0, *a) : EBB_OK;
}

static EbbStatus weight_gradient(const EbbLinearArgs *a, const EbbRun *run) {
  const EbbCudaMatrix dy = {a->dy, EBB_F32, a->O, 0, !a->inputs_first};
  const EbbCudaMatrix x = {a->x, EBB_F32, a->I, 0, a->inputs_first};
  EbbCudaGemm product = {};
  product.a = a->inputs_first ? x : dy, product.b = a->inputs_first ? dy : x;
  product.m = a->inputs_first ? a->I : a->O, product.n = a->inputs_first ? a->O : a->I;
  product.c = a->dweight, product.ldc = product.n, product.k = a->R, product.batch = 1;
  product.alpha = 1, product.beta = 1;
  return ebb_cuda_gemm(run, &product);
}

static EbbStatus input_gradient(const EbbLinearArgs *a, const EbbRun *run) {
  EbbCudaGemm product = {};
  product.a = {a->dy, EBB_F32, a->O, 0, false}, product.b = weight_of(a, false);
  product.c = a->dx, product.ldc = a->I;
  product.m = a->R, product.n = a->I, product.k = a->O, product.batch = 1;
  product.alpha = 1, product.beta = a->add_dx ? 1.0f : 0.0f;
  return ebb_cuda_gemm(run, &product);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLinearArgs *a = (const EbbLinearArgs *)args;
  if (is_small(a)) return small_backward(a, run);
  if (a->dweight) EBB_TRY(weight_gradient(a, run));
  if (a->dbias)
    EBB_TRY(EBB_LAUNCH(run, bias_gradient, dim3(ebb_blocks(a->O, EBB_WARP)), dim3(COLUMN_WARPS * EBB_WARP),
                       COLUMN_WARPS * EBB_WARP * sizeof(double), *a));
  return a->dx ? input_gradient(a, run) : EBB_OK;
}

extern "C" const EbbKernels ebb_linear_cuda = {forward, backward};
