/* Sums over matrices and synapses with all threads of a block at work. */
#ifndef EBB_KERNELS_CELL_REDUCE_CUH
#define EBB_KERNELS_CELL_REDUCE_CUH

#include "kernels/cell_machine.cuh"

/* Sum over `lanes` neighbouring lanes, a power of two. */
static __device__ __forceinline__ float cell_lane_sum(float value, int lanes) {
  for (int offset = lanes / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(EBB_FULL_WARP, value, offset);
  return value;
}

/* Lanes that share one of `count` sums of `terms` terms; `least` where terms lie side by side in memory. */
static __device__ __forceinline__ int cell_lanes(int threads, int count, int terms, int least) {
  int lanes = EBB_WARP;
  while (lanes > 1 && (lanes >= 2 * terms || (lanes > least && count * lanes > threads))) lanes /= 2;
  return lanes;
}

/* Rows whose elements lie side by side: some lanes a row. put(o, sum) by one thread each. */
template <class Put>
static __device__ __forceinline__ void cell_row_products(const CellMachine<1> &m, const float *w,
                                                         const float *x, int outputs, int inputs, int stride,
                                                         Put put) {
  const int lanes = cell_lanes(m.n, outputs, inputs, 8), lane = m.t % lanes;
  for (int base = 0; base < outputs; base += m.n / lanes) {
    const int o = base + m.t / lanes;
    const float *row = w + (int64_t)o * stride;
    float sum = 0;
    if (o < outputs) {
#pragma unroll 4
      for (int i = lane; i < inputs; i += lanes) sum += row[i] * x[i];
    }
    sum = cell_lane_sum(sum, lanes);
    if (lane == 0 && o < outputs) put(o, sum);
  }
}

/* Columns whose elements lie side by side: a thread a column and part of the inputs; the parts are joined
   through scratch. */
template <class Put>
static __device__ __forceinline__ void cell_column_products(const CellMachine<1> &m, const float *w,
                                                            const float *x, int outputs, int inputs,
                                                            int stride, Put put) {
  const int columns = (outputs + EBB_WARP - 1) / EBB_WARP * EBB_WARP;
  const int parts = m.n >= 2 * columns ? m.n / columns : 1, each = (inputs + parts - 1) / parts;
  const int part = parts > 1 ? m.t / columns : 0, step = parts > 1 ? outputs : m.n;
  const int end = min(inputs, (part + 1) * each);
  for (int o = parts > 1 ? m.t % columns : m.t; o < outputs; o += step) {
    float sum = 0;
    if (part < parts) {
#pragma unroll 4
      for (int i = part * each; i < end; i++) sum += w[o + (int64_t)i * stride] * x[i];
    }
    if (parts > 1)
      m.scratch[m.t] = sum;
    else
      put(o, sum);
  }
  if (parts == 1) return;
  __syncthreads();
  if (m.t >= outputs) return;
  float sum = 0;
  for (int k = 0; k < parts; k++) sum += m.scratch[k * columns + m.t];
  put(m.t, sum);
}

template <class Put>
static __device__ __forceinline__ void cell_products(const CellMachine<1> &m, const float *w, const float *x,
                                                     int outputs, int inputs, int out_stride, int in_stride,
                                                     Put put) {
  if (in_stride == 1)
    cell_row_products(m, w, x, outputs, inputs, out_stride, put);
  else
    cell_column_products(m, w, x, outputs, inputs, in_stride, put);
}

/* 1 / (1 + e^-x) within 3e-7 of its value, without the branches of a division. */
static __device__ __forceinline__ float cell_sigmoid(float x) {
  const float e = ebb_expf(-x);
  return ebb_reciprocalf(1.0f + (e > 1e37f ? 1e37f : e));
}

#endif
