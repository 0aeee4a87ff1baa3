/* Norms over channels: what layer_norm.cu and layer_norm_scalar.cu share.

   A column is one (b, l) with its H values, L elements apart. A tile is 32 columns wide, counted through over
   b and l so that short rows leave no lane idle, and H high. Lane = column, so that a warp reads neighbours;
   the rows go to the warps in batches whose loads are in flight together. Every thread keeps what it read in
   shared memory where the tile fits there: only its own values, hence without barriers or bank conflicts.
   Higher tiles are read again from global memory. */
#ifndef EBB_KERNELS_NORM_COLUMNS_CUH
#define EBB_KERNELS_NORM_COLUMNS_CUH

#include "ebb/ops/norm.h"
#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"
#include "kernels/storage.cuh"

enum { EBB_NORM_BATCH = 8, EBB_NORM_THREADS = 1024 };
static_assert((int)EBB_NORM_COLUMNS == (int)EBB_WARP, "a lane is a column");

__device__ __forceinline__ int ebb_lane() { return (int)threadIdx.x % EBB_WARP; }

/* The column of the calling lane: index in (B, L), offset of its first value; valid: it is there. */
struct EbbColumn {
  int64_t index, at;
  bool valid;
};
__device__ __forceinline__ EbbColumn ebb_column(int64_t tile, int64_t B, int64_t H, int64_t L) {
  const int64_t index = tile * EBB_NORM_COLUMNS + ebb_lane();
  return {index, index + index / L * (H - 1) * L, index < B * L};
}

/* A thread's rows: `for (int h = ebb_first_row(); h < H; h += ebb_row_step())` visits its batches. */
__device__ __forceinline__ int ebb_first_row() { return (int)threadIdx.x / EBB_WARP * EBB_NORM_BATCH; }
__device__ __forceinline__ int ebb_row_step() { return (int)blockDim.x / EBB_WARP * EBB_NORM_BATCH; }

/* One tensor's values in a column; held: (H, 32) shared memory, or NULL. */
template <class S> struct EbbColumnValues {
  const S *x;
  S *held;
  int64_t L;
  int H;

  /* Rows h .. h + 7; 0 where there is none. */
  __device__ __forceinline__ void read(const EbbColumn &c, int h, float (&v)[EBB_NORM_BATCH]) const {
#pragma unroll
    for (int j = 0; j < EBB_NORM_BATCH; j++) v[j] = c.valid && h + j < H ? load(x, c.at + (h + j) * L) : 0.0f;
    if (!held) return;
#pragma unroll
    for (int j = 0; j < EBB_NORM_BATCH; j++)
      if (h + j < H) store(held, (h + j) * EBB_WARP + ebb_lane(), v[j]);
  }
  /* The same once more. */
  __device__ __forceinline__ void again(const EbbColumn &c, int h, float (&v)[EBB_NORM_BATCH]) const {
#pragma unroll
    for (int j = 0; j < EBB_NORM_BATCH; j++)
      if (held)
        v[j] = h + j < H ? load(held, (h + j) * EBB_WARP + ebb_lane()) : 0.0f;
      else
        v[j] = c.valid && h + j < H ? load(x, c.at + (h + j) * L) : 0.0f;
  }
};

/* Rows h .. h + 7 of a column of y, or of what is added to it. Loads and stores of a batch stand apart, so
   that none waits for another. */
template <class S>
__device__ __forceinline__ void ebb_write_rows(S *y, const EbbColumn &c, int h, int H, int64_t L, bool add,
                                               float (&v)[EBB_NORM_BATCH]) {
  if (!c.valid) return;
#pragma unroll
  for (int j = 0; j < EBB_NORM_BATCH; j++)
    if (add && h + j < H) v[j] += load(y, c.at + (h + j) * L);
#pragma unroll
  for (int j = 0; j < EBB_NORM_BATCH; j++)
    if (h + j < H) store(y, c.at + (h + j) * L, v[j]);
}

/* Sum of a column over the warps, in their order; every thread gets its lane's. scratch: blockDim.x floats,
   free again when the call returns. */
__device__ __forceinline__ float ebb_column_sum(float value, float *scratch) {
  scratch[threadIdx.x] = value;
  __syncthreads();
  float sum = 0;
  for (int i = ebb_lane(); i < (int)blockDim.x; i += EBB_WARP) sum += scratch[i];
  __syncthreads();
  return sum;
}

struct EbbColumnMoments {
  float mean, var;
};
/* Mean first, then squared deviations; reads the values and leaves them held. */
template <class S>
__device__ EbbColumnMoments ebb_column_moments(const EbbColumnValues<S> &values, const EbbColumn &c,
                                               float *scratch) {
  const float inverse = 1.0f / (float)values.H;
  float sum = 0, squares = 0, v[EBB_NORM_BATCH];
  for (int h = ebb_first_row(); h < values.H; h += ebb_row_step()) {
    values.read(c, h, v);
    for (int j = 0; j < EBB_NORM_BATCH; j++) sum += v[j];
  }
  const float mean = ebb_column_sum(sum, scratch) * inverse;
  for (int h = ebb_first_row(); h < values.H; h += ebb_row_step()) {
    values.again(c, h, v);
    for (int j = 0; j < EBB_NORM_BATCH; j++)
      if (h + j < values.H) squares += (v[j] - mean) * (v[j] - mean);
  }
  return {mean, ebb_column_sum(squares, scratch) * inverse};
}

/* How a kernel over tiles is launched: `own` bytes of shared memory and what `tensors` held ones take. */
struct EbbColumnLaunch {
  unsigned threads;
  size_t shared;
  bool hold;
};
template <class S>
static inline EbbColumnLaunch ebb_column_launch(const EbbRun *run, int64_t H, size_t own, int tensors) {
  enum { WARP_ROWS = 32, MOST_WARPS = EBB_NORM_THREADS / EBB_WARP };
  const int64_t wanted = (H + WARP_ROWS - 1) / WARP_ROWS,
                warps = wanted < MOST_WARPS ? wanted : (int64_t)MOST_WARPS;
  const size_t threads = (size_t)warps * EBB_WARP, with = own + threads * sizeof(float);
  const size_t held = (size_t)(tensors * H * EBB_NORM_COLUMNS) * sizeof(S);
  const bool hold = with + held <= (size_t)ebb_cuda_shared_limit(run->device);
  return {(unsigned)threads, hold ? with + held : with, hold};
}

/* ---- sums for the parameters ---- */

/* first[w] and second[w] += the sums of partial (parts, 2, width) over its parts; NULL: not wanted. A block
   takes eight neighbours, a sector of memory, and 128 parts at a time. */
enum { EBB_JOIN_COLUMNS = 8, EBB_JOIN_THREADS = 1024 };
template <class T>
__global__ void __launch_bounds__(EBB_JOIN_THREADS)
    ebb_join_parts(const T *partial, int64_t parts, int64_t width, float *first, float *second) {
  EBB_SHARED(double, scratch);
  const int64_t column = (int64_t)blockIdx.x * EBB_JOIN_COLUMNS + threadIdx.x % EBB_JOIN_COLUMNS;
  double sum = 0;
  for (int64_t p = threadIdx.x / EBB_JOIN_COLUMNS; p < parts && column < 2 * width;
       p += EBB_JOIN_THREADS / EBB_JOIN_COLUMNS)
    sum += (double)partial[p * 2 * width + column];
  scratch[threadIdx.x] = sum;
  for (int half = EBB_JOIN_THREADS / 2; half >= EBB_JOIN_COLUMNS; half /= 2) {
    __syncthreads();
    if ((int)threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
  }
  if (threadIdx.x >= EBB_JOIN_COLUMNS || column >= 2 * width) return;
  float *to = column < width ? first : second;
  if (to) to[column % width] += (float)scratch[threadIdx.x];
}

template <class T>
static inline EbbStatus ebb_launch_join(const EbbRun *run, const T *partial, int64_t parts, int64_t width,
                                        float *first, float *second) {
  if (!first && !second) return EBB_OK;
  return EBB_LAUNCH(run, ebb_join_parts<T>, dim3(ebb_blocks(2 * width, EBB_JOIN_COLUMNS)),
                    dim3(EBB_JOIN_THREADS), EBB_JOIN_THREADS * sizeof(double), partial, parts, width, first,
                    second);
}

#endif
