/* What CPU kernels share: one-thread matrix products and transforms, to be called inside their own parallel
 * loops. */
#ifndef EBB_HOST_CPU_H
#define EBB_HOST_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/device.h"

/* C (m, n) = alpha op(A) op(B) + beta C, all row-major with leading dimensions; op(A) is (m, k). One thread.
 */
typedef struct EbbGemm {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  float alpha;
  const float *a;
  int64_t lda;
  const float *b;
  int64_t ldb;
  float beta;
  float *c;
  int64_t ldc;
} EbbGemm;
void ebb_cpu_gemm(const EbbGemm *gemm);

/* X_j = sum_t x_t e^(-2 pi i j t / n), j = 0 .. n/2. x (n) and X (n/2 + 1) are 64-byte aligned and distinct;
 * x is kept. */
void ebb_fft_forward(const EbbFft *fft, const float *x, EbbC32 *X);
/* x_t = sum over the Hermitian spectrum, NOT divided by n. X is destroyed. Same alignment. */
void ebb_fft_inverse(const EbbFft *fft, EbbC32 *X, float *x);
int64_t ebb_fft_length(const EbbFft *fft);

/* The smallest length >= n that transforms fast (2^a 3^b 5^c, even). */
int64_t ebb_fft_good_length(int64_t n);

/* Floats that a row of n floats (or n/2 + 1 complex numbers) takes when the next row is to start 64-byte
 * aligned. */
static inline int64_t ebb_row_floats(int64_t n) { return (n + 15) / 16 * 16; }
static inline int64_t ebb_spectrum_floats(int64_t n) { return ebb_row_floats(2 * (n / 2 + 1)); }

/* `#pragma omp parallel for num_threads(EBB_THREADS(run))` */
#define EBB_THREADS(run) ebb_device_threads((run)->device)

#endif
