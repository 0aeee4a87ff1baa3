/* Fourier transforms for linear convolutions of real rows, made by the threads of a block in registers and
   shared memory.

   RowFft<N> treats a real row x of at most 2N values as N complex points z_j = x_j - i x_{j+N} and gives its
   polynomial's values at every fourth of the 4N-th roots of unity,
     X_k = sum_{j<N} z_j w^(j (4k + 1)),  w = e^(-2 pi i / (4N)),  k < N,
   which determine the row, because the others are the conjugates. Products X K are convolutions modulo x^2N +
   1 (what passes the end comes back with the other sign), X conj(K) correlations. So rows of N values and
   kernels of N lags each way convolve without wrapping into the N values wanted, each row alone: no padding,
   no pairs of rows, no reordering. (Crandall and Fagin 1994, "Discrete weighted transforms and large-integer
   arithmetic": the right-angle convolution.)

   Layout. THREADS threads hold POINTS points each: point k of thread t is row element at(t, k) = t + k
   THREADS, so that neighbours in a warp hold neighbours in the row. The spectrum stays in the order in which
   the passes leave it; its place in memory is spot(t, k) by the same formula, and any two spectra of one N
   agree, which is all that products need. Kernels with several rows a block give each its THREADS threads
   and its SHARED points of shared memory.

   Passes of radix POINTS, SECOND and THIRD, decimation in frequency forward and in time back. The first
   exchange is between all threads of a row, the second between THIRD neighbours in a warp, inside the part of
   shared memory that they alone have read. STRIDE keeps both free of bank conflicts (64-bit accesses, 16
   lanes at a time). Twiddle factors are products of two table entries, one rounding more than a full table
   at a third of its loads; w^j folds into those of the first pass and 4 POINTS constants. */
#ifndef EBB_KERNELS_FFT_CUH
#define EBB_KERNELS_FFT_CUH

#include <cuda_runtime.h>

#include "ebb/complex.h"
#include "host/fft_row.h"

__device__ __forceinline__ EbbC32 fft_get(const float2 *from, int i) {
  const float2 z = from[i];
  return ebb_c32_make(z.x, z.y);
}
__device__ __forceinline__ void fft_put(float2 *to, int i, EbbC32 z) { to[i] = make_float2(z.re, z.im); }

/* cos(2 pi k / 128), k = 0 .. 32 and known when compiled. */
__device__ __forceinline__ float fft_cosine(int k) {
  const float cosine[33] = {
      1.0f,         0.998795456f, 0.995184727f,  0.98917651f,   0.98078528f,  0.970031253f, 0.956940336f,
      0.941544065f, 0.923879533f, 0.903989293f,  0.881921264f,  0.85772861f,  0.831469612f, 0.803207531f,
      0.773010453f, 0.740951125f, 0.707106781f,  0.671558955f,  0.634393284f, 0.595699304f, 0.555570233f,
      0.514102744f, 0.471396737f, 0.427555093f,  0.382683432f,  0.336889853f, 0.290284677f, 0.24298018f,
      0.195090322f, 0.146730474f, 0.0980171403f, 0.0490676743f, 0.0f};
  return cosine[k];
}

/* e^(-2 pi i k / 128), 0 <= k < 128. */
__device__ __forceinline__ EbbC32 fft_root(int k) {
  const float c = fft_cosine(k % 32), s = fft_cosine(32 - k % 32);
  if (k < 32) return ebb_c32_make(c, -s);
  if (k < 64) return ebb_c32_make(-s, -c);
  if (k < 96) return ebb_c32_make(-c, s);
  return ebb_c32_make(s, c);
}

__device__ __forceinline__ EbbC32 fft_turn(EbbC32 z, int k) {
  if (k == 0) return z;
  if (k == 32) return ebb_c32_make(z.im, -z.re);
  return ebb_c32_mul(z, fft_root(k));
}

/* In place, natural order, R = 1, 2, 4, 8, 16 or 32. */
template <int R> __device__ __forceinline__ void fft_small(EbbC32 *x) {
  if constexpr (R == 2) {
    const EbbC32 a = x[0], b = x[1];
    x[0] = ebb_c32_add(a, b), x[1] = ebb_c32_sub(a, b);
  }
  if constexpr (R >= 4) {
    EbbC32 part[4][R / 4];
#pragma unroll
    for (int b = 0; b < R / 4; b++) {
      const EbbC32 even = ebb_c32_add(x[b], x[b + R / 2]), odd = ebb_c32_sub(x[b], x[b + R / 2]);
      const EbbC32 sum = ebb_c32_add(x[b + R / 4], x[b + 3 * R / 4]);
      const EbbC32 turned = fft_turn(ebb_c32_sub(x[b + R / 4], x[b + 3 * R / 4]), 32);
      part[0][b] = ebb_c32_add(even, sum);
      part[1][b] = fft_turn(ebb_c32_add(odd, turned), 128 / R * b);
      part[2][b] = fft_turn(ebb_c32_sub(even, sum), 128 / R * 2 * b);
      part[3][b] = fft_turn(ebb_c32_sub(odd, turned), 128 / R * 3 * b);
    }
#pragma unroll
    for (int a = 0; a < 4; a++) {
      fft_small<R / 4>(part[a]);
#pragma unroll
      for (int d = 0; d < R / 4; d++) x[a + 4 * d] = part[a][d];
    }
  }
}

/* x[4a + b] *= g_a u_b for the factors of one column of a pass (host/fft_row.c); FIRST false: g_0 = 1. */
template <int R, int COLUMNS, bool FIRST>
__device__ __forceinline__ void fft_twiddle(EbbC32 *x, const float2 *table, int column) {
  EbbC32 u[4];
#pragma unroll
  for (int b = 1; b < 4; b++) u[b] = fft_get(table, (R / 4 + b - 1) * COLUMNS + column);
#pragma unroll
  for (int a = 0; a < R / 4; a++) {
    const bool one = !FIRST && a == 0;
    const EbbC32 g = one ? ebb_c32_make(1.0f, 0.0f) : fft_get(table, a * COLUMNS + column);
    if (!one) x[4 * a] = ebb_c32_mul(x[4 * a], g);
#pragma unroll
    for (int b = 1; b < 4; b++) x[4 * a + b] = ebb_c32_mul(x[4 * a + b], one ? u[b] : ebb_c32_mul(g, u[b]));
  }
}

template <int N> class RowFft {
public:
  static constexpr int POINTS = EBB_ROW_POINTS(N), THREADS = EBB_ROW_THREADS(N);
  static constexpr int SECOND = EBB_ROW_SECOND(N), THIRD = EBB_ROW_THIRD(N);
  static constexpr int STRIDE =
      THIRD == 1 ? THREADS + 1 : SECOND * (THIRD + 1) + (THIRD < 16 ? THIRD : 0); /* of an output of pass 1 */
  static constexpr int SHARED = POINTS * STRIDE; /* float2s of shared memory a row */

  /* t: this thread among the row's. table: ebb_row_fft_table_fill's, in device memory. */
  __device__ RowFft(int t, float2 *shared, const float2 *table)
      : t_(t), first_(table), second_(table + (POINTS / 4 + 3) * THREADS), shared_(shared),
        group_(shared + t / THIRD * STRIDE) {}

  static __device__ __forceinline__ int at(int t, int k) { return t + k * THREADS; }
  static __device__ __forceinline__ int spot(int t, int k) { return t + k * THREADS; }

  /* All threads of the block call these together, in any order; they wait for each other before they write to
     shared memory. Spectra of x, and of the complex points z in place. */
  __device__ __forceinline__ void forward(const float (&x)[POINTS], EbbC32 (&z)[POINTS]) const {
#pragma unroll
    for (int k = 0; k < POINTS; k++) z[k] = ebb_c32_scale(constant(k), x[k]);
    forward_passes(z);
  }
  __device__ __forceinline__ void forward(EbbC32 (&z)[POINTS]) const {
#pragma unroll
    for (int k = 0; k < POINTS; k++) z[k] = ebb_c32_mul(z[k], constant(k));
    forward_passes(z);
  }

  /* N times the row of a spectrum, which is used up: its first N values, or the complex points in place. */
  __device__ __forceinline__ void inverse(EbbC32 (&z)[POINTS], float (&x)[POINTS]) const {
    inverse_passes(z);
#pragma unroll
    for (int k = 0; k < POINTS; k++) x[k] = z[k].re * constant(k).im + z[k].im * constant(k).re;
  }
  __device__ __forceinline__ void inverse(EbbC32 (&z)[POINTS]) const {
    inverse_passes(z);
#pragma unroll
    for (int k = 0; k < POINTS; k++) z[k] = swapped(ebb_c32_mul(z[k], constant(k)));
  }

  /* Between all threads of a row: the block's other rows are in step, so rows of a warp need no more than
     that warp. */
  static __device__ __forceinline__ void sync() {
    if (THREADS <= 32)
      __syncwarp();
    else
      __syncthreads();
  }

  /* After an inverse and until the next call: shared memory of this thread alone, one place for each point.
   */
  __device__ __forceinline__ float2 &own(int k) const { return shared_[k * STRIDE + t_]; }

private:
  static constexpr int BLOCKS = POINTS / SECOND;       /* transforms of pass 2 that a thread makes */
  static constexpr int LAST = SECOND / THIRD;          /* transforms of pass 3 for each of them */
  static constexpr int FAR = THREADS / THIRD * STRIDE; /* from one of a thread's blocks to its next */

  /* w^(k THREADS): the part of the first pass's twist that is the same for all threads. */
  static __device__ __forceinline__ EbbC32 constant(int k) { return fft_root(32 / POINTS * k); }
  static __device__ __forceinline__ EbbC32 swapped(EbbC32 z) { return ebb_c32_make(z.im, z.re); }

  __device__ __forceinline__ void forward_passes(EbbC32 (&z)[POINTS]) const {
    fft_small<POINTS>(z);
    fft_twiddle<POINTS, THREADS, true>(z, first_, t_);
    sync();
#pragma unroll
    for (int q = 0; q < POINTS; q++) fft_put(&own(q), 0, z[q]);
    sync();
#pragma unroll
    for (int i = 0; i < BLOCKS; i++)
#pragma unroll
      for (int k = 0; k < SECOND; k++) z[i * SECOND + k] = fft_get(group_, i * FAR + k * THIRD + t_ % THIRD);
#pragma unroll
    for (int i = 0; i < BLOCKS; i++) fft_small<SECOND>(z + i * SECOND);
    if (THIRD > 1) last_pass(z);
  }

  __device__ __forceinline__ void last_pass(EbbC32 (&z)[POINTS]) const {
#pragma unroll
    for (int i = 0; i < BLOCKS; i++) fft_twiddle<SECOND, THIRD, false>(z + i * SECOND, second_, t_ % THIRD);
    __syncwarp();
    each_column([&](int i, int place) { fft_put(group_, place, z[i]); });
    __syncwarp();
    each_row([&](int i, int place) { z[i] = fft_get(group_, place); });
#pragma unroll
    for (int i = 0; i < POINTS; i += THIRD) fft_small<THIRD>(z + i);
  }

  /* With real and imaginary parts swapped, the inverse transform is the forward one. */
  __device__ __forceinline__ void inverse_passes(EbbC32 (&z)[POINTS]) const {
#pragma unroll
    for (int k = 0; k < POINTS; k++) z[k] = swapped(z[k]);
    if (THIRD > 1) first_pass_back(z);
#pragma unroll
    for (int i = 0; i < BLOCKS; i++) fft_small<SECOND>(z + i * SECOND);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < BLOCKS; i++)
#pragma unroll
      for (int k = 0; k < SECOND; k++) fft_put(group_, i * FAR + k * THIRD + t_ % THIRD, z[i * SECOND + k]);
    sync();
#pragma unroll
    for (int q = 0; q < POINTS; q++) z[q] = fft_get(&own(q), 0);
    fft_twiddle<POINTS, THREADS, true>(z, first_, t_);
    fft_small<POINTS>(z);
  }

  __device__ __forceinline__ void first_pass_back(EbbC32 (&z)[POINTS]) const {
#pragma unroll
    for (int i = 0; i < POINTS; i += THIRD) fft_small<THIRD>(z + i);
    sync();
    each_row([&](int i, int place) { fft_put(group_, place, z[i]); });
    __syncwarp();
    each_column([&](int i, int place) { z[i] = fft_get(group_, place); });
#pragma unroll
    for (int i = 0; i < BLOCKS; i++) fft_twiddle<SECOND, THIRD, false>(z + i * SECOND, second_, t_ % THIRD);
  }

  /* The second exchange: a block of pass 2 is a matrix of SECOND rows and THIRD columns; a thread has a
     column before it and LAST rows behind it. */
  template <class Visit> __device__ __forceinline__ void each_column(Visit visit) const {
#pragma unroll
    for (int i = 0; i < BLOCKS; i++)
#pragma unroll
      for (int row = 0; row < SECOND; row++)
        visit(i * SECOND + row, i * FAR + row * (THIRD + 1) + t_ % THIRD);
  }
  template <class Visit> __device__ __forceinline__ void each_row(Visit visit) const {
#pragma unroll
    for (int i = 0; i < BLOCKS * LAST; i++)
#pragma unroll
      for (int column = 0; column < THIRD; column++)
        visit(i * THIRD + column, i / LAST * FAR + (t_ % THIRD + i % LAST * THIRD) * (THIRD + 1) + column);
  }

  int t_;
  const float2 *first_, *second_;
  float2 *shared_, *group_;
};

#endif
