/* What the kernels of s4_series share: rows of a block, their spectra, and launch tables.

   Everything of a row stays in the registers of its threads, which make transforms together (kernels/fft.cuh,
   whose right-angle convolutions need neither padding nor pairs of rows). v_{q+1}[t] = u_t s_q[t-1] would
   need the neighbour's s_q; instead the kernel ke is moved one step back before it is transformed, so that
   "s_q" below is s_q[t-1] at t and all that is not a transform is elementwise. */
#ifndef EBB_KERNELS_S4_SERIES_CUH
#define EBB_KERNELS_S4_SERIES_CUH

#include "host/ops/s4_series_gpu.h"
#include "kernels/fft.cuh"
#include "kernels/s4_epilogue.cuh"

template <int N> struct SeriesRows {
  typedef RowFft<N> Fft;
  static constexpr int SLOTS = EBB_SERIES_SLOTS(N), BLOCK = SLOTS * Fft::THREADS;
  static constexpr int BLOCKS = EBB_SERIES_THREADS(N) / BLOCK; /* of a multiprocessor */
  static constexpr size_t BYTES = sizeof(float2) * SLOTS * Fft::SHARED;
};
#define EBB_SERIES_BOUNDS(N) __launch_bounds__(SeriesRows<N>::BLOCK, SeriesRows<N>::BLOCKS)

/* Of a thread: its row among the block's, its place there. */
template <int N> struct SeriesPlace {
  int t, slot;
  __device__ SeriesPlace()
      : t((int)threadIdx.x % RowFft<N>::THREADS), slot((int)threadIdx.x / RowFft<N>::THREADS) {}
  __device__ RowFft<N> fft(const EbbS4SeriesArgs &a, float2 *shared) const {
    return RowFft<N>(t, shared + slot * RowFft<N>::SHARED, reinterpret_cast<const float2 *>(a.twiddles));
  }
};

/* One group of rows of one channel: batch rows begin .. end - 1. */
struct SeriesItem {
  int64_t h, group, begin, end;
};
__device__ __forceinline__ SeriesItem series_item(const EbbS4SeriesArgs &a, int64_t index) {
  const EbbS4SeriesLayout &layout = a.cuda.layout;
  const int64_t rounds = (a.B + layout.slots - 1) / layout.slots;
  const int64_t rows = (rounds + layout.groups - 1) / layout.groups * layout.slots;
  const int64_t group = index % layout.groups, begin = group * rows;
  return {index / layout.groups, group, begin, begin + rows < a.B ? begin + rows : a.B};
}

/* A row (b, h): its index among all rows, where it starts, its length and valid steps, both 0 past the batch.
 */
struct SeriesRow {
  int64_t index, start;
  int length, valid;
};
__device__ __forceinline__ SeriesRow series_row(const EbbS4SeriesArgs &a, const SeriesItem &item, int64_t b) {
  const int64_t index = b * a.H + item.h;
  if (b >= item.end) return {0, 0, 0, 0};
  return {index, index * a.L, (int)a.L, (int)ebb_s4_valid(a.lengths, b, a.L)};
}

template <class S> __device__ __forceinline__ float series_load(const S *x, int64_t start, int t, int end) {
  return t < end ? load(x, start + t) : 0.0f;
}

__device__ __forceinline__ const float2 *series_spectrum(const EbbS4SeriesArgs &a, int which, int64_t h) {
  return reinterpret_cast<const float2 *>(a.cuda.spectra) + (which * a.H + h) * a.n;
}

/* z *= spectrum, or its conjugate. */
template <int N, bool CONJUGATE>
__device__ __forceinline__ void series_multiply(EbbC32 (&z)[RowFft<N>::POINTS], const float2 *spectrum,
                                                int t) {
#pragma unroll
  for (int k = 0; k < RowFft<N>::POINTS; k++) {
    const EbbC32 s = fft_get(spectrum, RowFft<N>::spot(t, k));
    z[k] = CONJUGATE ? ebb_c32_mul_conj(z[k], s) : ebb_c32_mul(z[k], s);
  }
}

/* Picks a launch by the transform's length; the tables have a place for each. */
typedef EbbStatus (*SeriesLaunch)(const EbbS4SeriesArgs &args, const EbbRun *run);
#define SERIES_LAUNCHES(launch)                                                                              \
  { launch<256>, launch<512>, launch<1024>, launch<2048>, launch<4096>, launch<8192>, launch<16384> }
static inline SeriesLaunch series_launch_of(const SeriesLaunch *launches, int64_t n) {
  int index = 0;
  while (EBB_ROW_SHORTEST << index < n) index++;
  return launches[index];
}

/* The kernels over rows; spectra of k and ke are there, and what backward sums up is not added up yet. */
EbbStatus ebb_series_forward_rows(const EbbS4SeriesArgs &args, const EbbRun *run);
EbbStatus ebb_series_backward_rows(const EbbS4SeriesArgs &args, const EbbRun *run);
/* Everything, for rows that are too long for a block. */
EbbStatus ebb_series_long_forward(const EbbS4SeriesArgs &args, const EbbRun *run);
EbbStatus ebb_series_long_backward(const EbbS4SeriesArgs &args, const EbbRun *run);

#endif
