/* What the kernels of s4_conv share, and its parts. */
#ifndef EBB_KERNELS_S4_CONV_CUH
#define EBB_KERNELS_S4_CONV_CUH

#include "ebb/ops/s4_conv.h"
#include "kernels/fft.cuh"
#include "kernels/launch.cuh"
#include "kernels/s4_epilogue.cuh"
#include "kernels/s4_liquid.cuh"

/* Row (b, h): where it is and how much of it there is; here false: no such row, all zeros. */
struct ConvRow {
  bool here;
  int64_t h, number, start; /* number b H + h, and its first element */
  int valid;
};
__device__ __forceinline__ ConvRow conv_row(const EbbS4ConvArgs &a, int64_t b, int64_t h) {
  ConvRow row = {b < a.B && h < a.H, h < a.H ? h : 0, b * a.H + h, (b * a.H + h) * a.L, 0};
  if (!row.here) return row;
  const int64_t length = a.lengths ? a.lengths[b] : a.L;
  row.valid = (int)(length < 0 ? 0 : length < a.L ? length : a.L);
  return row;
}

/* Blocks of the kernels that transform rows: COUNT rows at once, of neighbouring channels. */
template <int N> struct ConvBlock {
  static constexpr int THREADS = RowFft<N>::THREADS, COUNT = THREADS < 128 ? 128 / THREADS : 1;
  static constexpr int BLOCK = COUNT * THREADS;
  /* On a multiprocessor at least, which bounds the registers. */
  static constexpr int FORWARD_BLOCKS = (RowFft<N>::POINTS == 32 ? 512 : 768) / BLOCK;
  static constexpr int BACKWARD_BLOCKS = 512 / BLOCK;
};

/* The one kernel does the liquid term too. */
EBB_INLINE bool conv_mixes(const EbbS4ConvArgs &a) { return a.liquid.kind == EBB_S4_POLYB && !a.cuda.x; }
/* float2s of shared memory for that: the last inputs of a row, and their gradient. */
EBB_INLINE int conv_mix_shared(const EbbS4ConvArgs &a) { return conv_mixes(a) ? (int)a.liquid.span : 0; }
template <int N> static size_t conv_shared_bytes(const EbbS4ConvArgs *a) {
  return sizeof(float2) * ConvBlock<N>::COUNT * (size_t)(RowFft<N>::SHARED + conv_mix_shared(*a));
}

/* A row's elements as RowFft<N> wants them; zeros behind the first `count`. */
template <int N, class S>
__device__ __forceinline__ void conv_load(const S *from, const ConvRow &row, int count, int t,
                                          float (&x)[RowFft<N>::POINTS]) {
#pragma unroll
  for (int k = 0; k < RowFft<N>::POINTS; k++) {
    const int at = RowFft<N>::at(t, k);
    x[k] = at < count ? load(from, row.start + at) : 0.0f;
  }
}

/* dk from point j of the transform back: its real part is lag j, its imaginary part lag j - n. */
__device__ __forceinline__ void conv_store_dk(const EbbS4ConvArgs &a, int64_t h, int64_t n, int64_t j,
                                              EbbC32 lag) {
  const int64_t back = n - 1 - j;
  if (j < a.Lk) store_or_add(a.dk, h * a.Lk + j, lag.re, a.add_dk);
  if (a.bidirectional && back < a.Lk) store_or_add(a.dk, (a.H + h) * a.Lk + back, lag.im, a.add_dk);
}

/* Picks a launch by the transform's length; the tables below have a place for each. */
typedef EbbStatus (*ConvLaunch)(const EbbS4ConvArgs *args, const EbbRun *run);
static inline ConvLaunch conv_launch_of(const ConvLaunch *launches, int64_t n) {
  int index = 0;
  while (EBB_ROW_SHORTEST << index < n) index++;
  return launches[index];
}
#define CONV_LAUNCHES(launch)                                                                                \
  { launch<256>, launch<512>, launch<1024>, launch<2048>, launch<4096>, launch<8192>, launch<16384> }

/* The last inputs of a row, zeros where they are padding. Threads t of `threads`. */
template <class S>
__device__ __forceinline__ void conv_load_last(const EbbS4ConvArgs &a, const ConvRow &row, int t, int threads,
                                               float *last) {
  const int from = (int)(a.L - a.liquid.span);
  for (int i = t; i < (int)a.liquid.span; i += threads)
    last[i] = from + i < row.valid ? load(as<S>(a.u), row.start + from + i) : 0.0f;
}

extern "C" {
/* dk, dD and du; where cuda.x is, from x's gradient there, adding cuda.extra to du. */
EbbStatus ebb_s4_conv_block_backward(const EbbS4ConvArgs *args, const EbbRun *run) EBB_MUST_CHECK;
/* Rows longer than a block transforms, by cuFFT: cuda.x, and backward as above. */
EbbStatus ebb_s4_conv_long_forward(const EbbS4ConvArgs *args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus ebb_s4_conv_long_backward(const EbbS4ConvArgs *args, const EbbRun *run) EBB_MUST_CHECK;
/* The KB term of kb.mixed: added to cuda.x; from cuda.x as x's gradient, kb.mixed's gradient in its place;
   and after the convolution's dk what the taps get. */
EbbStatus ebb_s4_kb_forward_rows(const EbbS4ConvArgs *args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus ebb_s4_kb_backward_rows(const EbbS4ConvArgs *args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus ebb_s4_kb_add_dk(const EbbS4ConvArgs *args, const EbbRun *run) EBB_MUST_CHECK;
}

#endif
