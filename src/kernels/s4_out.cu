/* The output projection of an S4 layer. cuBLAS makes o = W h for all rows of the batch; one kernel does what
   follows: bias, GLU, dropout, residual. Backward: one kernel makes d_o from dy and the saved o, passes dy on
   to the residual and sums d_o over parts of rows for the bias; cuBLAS makes dh, and dweight as sums over
   groups of rows, which ebb_add_parts joins in order.

   A block of the kernels takes one channel (with GLU its value and its gate) and up to EBB_S4_OUT_SEGMENT
   positions of one row of the batch, so that everything is read and written along l, and what depends on the
   channel is one number. Elements moved beside the products, in units of B H L: forward o 2 (GLU), residual
   1, y 1; backward o 2, dy 1, d_o 2, dresidual 1. */
#include "ebb/ops/s4_out.h"

#include "kernels/dropout.cuh"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/parts.cuh"
#include "kernels/reduce.cuh"

/* A thread takes 8 positions, and loads all of them before it stores any: the compiler cannot tell that what
   is stored is not loaded next, and a thread must have several loads on their way. */
enum { POSITIONS = 8, THREADS_MOST = EBB_S4_OUT_SEGMENT / POSITIONS, ROUND_THREADS = 256 };

/* Where a block works: channel j of a row of the batch, positions l0 .. end - 1. */
struct Segment {
  int64_t j, l0, end;
  int64_t row;   /* b H + j: the row's number in (B, H, L) */
  int64_t o_row; /* b O + j: in (B, O, L); the gate's is H behind */
  int64_t part;  /* b segments + the segment's number */
};

static __device__ Segment segment_of(const EbbS4OutArgs &a) {
  const int64_t segments = ebb_s4_out_segments(a.L), row = blockIdx.x / segments, b = row / a.H;
  const int64_t number = blockIdx.x % segments, l0 = number * EBB_S4_OUT_SEGMENT;
  const int64_t end = l0 + EBB_S4_OUT_SEGMENT < a.L ? l0 + EBB_S4_OUT_SEGMENT : a.L;
  return {row % a.H, l0, end, row, b * a.O + row % a.H, b * segments + number};
}

/* The thread's positions of a row, in packs that lie a block's width apart. */
template <int N> struct Positions { Pack<N> at[POSITIONS / N]; };

template <int N> static __device__ __forceinline__ int64_t pack_start(const Segment &s, int pack) {
  return s.l0 + ((int64_t)pack * blockDim.x + threadIdx.x) * N;
}

/* x: the row. Positions outside the segment are left as they are. */
template <int N, class S>
static __device__ __forceinline__ void load_positions(const S *x, const Segment &s, Positions<N> *to) {
#pragma unroll
  for (int p = 0; p < POSITIONS / N; p++)
    if (pack_start<N>(s, p) < s.end) to->at[p] = load_pack<N>(x, pack_start<N>(s, p));
}

/* Dropout of one row: `tied` for all its elements, or each its own. */
struct RowDrop {
  EbbDrop drop;
  bool tie;
  float tied;
};

static __device__ RowDrop row_drop(const EbbDrop &drop, bool tie, int64_t row) {
  return {drop, tie, tie ? drop_factor(drop, row) : 1.0f};
}

template <int N> static __device__ __forceinline__ Pack<N> factors(const RowDrop &row, int64_t element) {
  Pack<N> factor;
  if (row.tie)
    for (int k = 0; k < N; k++) factor.at[k] = row.tied;
  else if constexpr (N == 4)
    drop_factors4(row.drop, element, factor.at);
  else
    factor.at[0] = drop_factor(row.drop, element);
  return factor;
}

template <class S, int N, bool GLU> __global__ void out_forward(EbbS4OutArgs a, EbbDrop drop) {
  const Segment s = segment_of(a);
  const S *o = as<S>(a.o) + s.o_row * a.L;
  Positions<N> value, gate = {}, residual = {};
  load_positions(o, s, &value);
  if (GLU) load_positions(o + a.H * a.L, s, &gate);
  if (a.residual) load_positions(as<S>(a.residual) + s.row * a.L, s, &residual);
  const RowDrop row = row_drop(drop, a.tie, s.row);
  const float bias = a.bias[s.j], gate_bias = GLU ? a.bias[a.H + s.j] : 0.0f;
#pragma unroll
  for (int p = 0; p < POSITIONS / N; p++) {
    const int64_t at = s.row * a.L + pack_start<N>(s, p);
    if (pack_start<N>(s, p) >= s.end) break;
    const Pack<N> factor = factors<N>(row, at);
    Pack<N> y;
    for (int k = 0; k < N; k++) {
      y.at[k] = value.at[p].at[k] + bias;
      if (GLU) y.at[k] = ebb_glu(y.at[k], ebb_sigmoidf(gate.at[p].at[k] + gate_bias));
      y.at[k] = y.at[k] * factor.at[k] + residual.at[p].at[k];
    }
    store_pack(as<S>(a.y), at, y);
  }
}

template <class S, int N, bool GLU> __global__ void out_backward(EbbS4OutArgs a, EbbDrop drop) {
  EBB_SHARED(float, scratch);
  const Segment s = segment_of(a);
  const S *o = as<S>(a.o) + s.o_row * a.L;
  S *d_o = as<S>(a.d_o) + s.o_row * a.L;
  Positions<N> value = {}, gate = {}, dy;
  if (GLU) load_positions(o, s, &value), load_positions(o + a.H * a.L, s, &gate);
  load_positions(as<S>(a.dy) + s.row * a.L, s, &dy);
  const RowDrop row = row_drop(drop, a.tie, s.row);
  const float bias = GLU ? a.bias[s.j] : 0.0f, gate_bias = GLU ? a.bias[a.H + s.j] : 0.0f;
  float sum = 0, gate_sum = 0;
#pragma unroll
  for (int p = 0; p < POSITIONS / N; p++) {
    const int64_t l = pack_start<N>(s, p), at = s.row * a.L + l;
    if (l >= s.end) break;
    const Pack<N> factor = factors<N>(row, at);
    Pack<N> dvalue, dgate;
    for (int k = 0; k < N; k++) {
      const float g = dy.at[p].at[k] * factor.at[k], open = ebb_sigmoidf(gate.at[p].at[k] + gate_bias);
      dvalue.at[k] = GLU ? ebb_glu_da(g, open) : g;
      dgate.at[k] = GLU ? ebb_glu_dc(g, value.at[p].at[k] + bias, open) : 0.0f;
      sum += dvalue.at[k], gate_sum += dgate.at[k];
    }
    store_pack(d_o, l, dvalue);
    if (GLU) store_pack(d_o, a.H * a.L + l, dgate);
    if (a.dresidual) store_or_add_pack(as<S>(a.dresidual), at, dy.at[p], a.add_dresidual);
  }
  sum = block_sum(sum, scratch);
  if (GLU) gate_sum = block_sum(gate_sum, scratch);
  if (threadIdx.x > 0) return;
  a.bias_parts[s.part * a.O + s.j] = sum;
  if (GLU) a.bias_parts[s.part * a.O + a.H + s.j] = gate_sum;
}

__global__ void round_weight(EbbS4OutArgs a) {
  const int64_t i = (int64_t)blockIdx.x * ROUND_THREADS + threadIdx.x;
  if (i < a.O * a.H) store((EbbBf16 *)a.rounded_weight, i, a.weight[i]);
}

static dim3 blocks_of(const EbbS4OutArgs *a) {
  return dim3((unsigned)(a->B * a->H * ebb_s4_out_segments(a->L)));
}

static dim3 threads_of(const EbbS4OutArgs *a) {
  return dim3(ebb_threads(ebb_blocks(a->L, POSITIONS), THREADS_MOST));
}

/* Runs `body` with the storage type S, the pack N and whether there is a GLU. */
#define OUT_DISPATCH(a, S, N, GLU, ...)                                                                      \
  EBB_STORAGE_DISPATCH((a)->storage, S, {                                                                    \
    EBB_PACK_DISPATCH((a)->L, N, {                                                                           \
      if ((a)->glu) {                                                                                        \
        constexpr bool GLU = true;                                                                           \
        __VA_ARGS__                                                                                          \
      } else {                                                                                               \
        constexpr bool GLU = false;                                                                          \
        __VA_ARGS__                                                                                          \
      }                                                                                                      \
    });                                                                                                      \
  })

/* The weight as products take it. */
static EbbCudaMatrix weight_matrix(const EbbS4OutArgs *a, bool transpose) {
  return {a->rounded_weight ? a->rounded_weight : a->weight, a->storage, a->H, 0, transpose};
}

/* o_b = W h_b for every row b. */
static EbbStatus project(const EbbS4OutArgs *a, const EbbRun *run) {
  if (a->rounded_weight)
    EBB_TRY(EBB_LAUNCH(run, round_weight, dim3(ebb_blocks(a->O * a->H, ROUND_THREADS)), dim3(ROUND_THREADS),
                       0, *a));
  EbbCudaGemm product = {};
  product.a = weight_matrix(a, false), product.b = {a->h, a->storage, a->L, a->H * a->L, false};
  product.c = a->o, product.type_c = a->storage, product.ldc = a->L, product.stride_c = a->O * a->L;
  product.m = a->O, product.n = a->L, product.k = a->H, product.batch = a->B;
  product.alpha = 1;
  return ebb_cuda_gemm(run, &product);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbS4OutArgs *a = (const EbbS4OutArgs *)args;
  const EbbDrop drop = ebb_drop_of(run, a->node, a->dropout);
  EBB_TRY(project(a, run));
  OUT_DISPATCH(a, S, N, GLU, {
    return EBB_LAUNCH(run, (out_forward<S, N, GLU>), blocks_of(a), threads_of(a), 0, *a, drop);
  });
}

/* dh_b = W^T d_o_b for every row b. */
static EbbStatus input_gradient(const EbbS4OutArgs *a, const EbbRun *run) {
  EbbCudaGemm product = {};
  product.a = weight_matrix(a, true), product.b = {a->d_o, a->storage, a->L, a->O * a->L, false};
  product.c = a->dh, product.type_c = a->storage, product.ldc = a->L, product.stride_c = a->H * a->L;
  product.m = a->H, product.n = a->L, product.k = a->O, product.batch = a->B;
  product.alpha = 1, product.beta = a->add_dh ? 1.0f : 0.0f;
  return ebb_cuda_gemm(run, &product);
}

/* d_o_b h_b^T, summed over the rows b of each group: one product a row of a group, for all groups that have
   it. */
static EbbStatus weight_gradient(const EbbS4OutArgs *a, const EbbRun *run) {
  const int64_t rows = (a->B + a->groups - 1) / a->groups;
  for (int64_t r = 0; r < rows; r++) {
    const char *d_o = (const char *)a->d_o, *h = (const char *)a->h;
    const size_t d_o_at = (size_t)(r * a->O * a->L), h_at = (size_t)(r * a->H * a->L);
    EbbCudaGemm product = {};
    product.a = {d_o + d_o_at * ebb_dtype_size(a->storage), a->storage, a->L, rows * a->O * a->L, false};
    product.b = {h + h_at * ebb_dtype_size(a->storage), a->storage, a->L, rows * a->H * a->L, true};
    product.c = a->partial, product.ldc = a->H, product.stride_c = a->O * a->H;
    product.m = a->O, product.n = a->H, product.k = a->L, product.batch = (a->B - r + rows - 1) / rows;
    product.alpha = 1, product.beta = r > 0 ? 1.0f : 0.0f;
    EBB_TRY(ebb_cuda_gemm(run, &product));
  }
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbS4OutArgs *a = (const EbbS4OutArgs *)args;
  const EbbDrop drop = ebb_drop_of(run, a->node, a->dropout);
  OUT_DISPATCH(a, S, N, GLU, {
    EBB_TRY(EBB_LAUNCH(run, (out_backward<S, N, GLU>), blocks_of(a), threads_of(a), EBB_WARP * sizeof(float),
                       *a, drop));
  });
  if (a->dh) EBB_TRY(input_gradient(a, run));
  if (a->dweight) EBB_TRY(weight_gradient(a, run));
  const EbbParts weight = {a->dweight, a->partial, a->O * a->H, a->groups};
  const EbbParts bias = {a->dbias, a->bias_parts, a->O, a->B * ebb_s4_out_segments(a->L)};
  return ebb_add_parts(run, weight, bias);
}

extern "C" const EbbKernels ebb_s4_out_cuda = {forward, backward};
