/* Complex transforms for convolutions: two real rows that share one real kernel travel as one complex row
   a + i b, because F^-1(F(a + i b) K) = (a * k) + i (b * k). The spectrum stays in the order in which the
   decimation in frequency leaves it, so no pass reorders anything; products with other spectra of the same
   length are element by element. Split storage: n real parts, then n imaginary parts at `ebb_pair_imag`. */
#ifndef EBB_HOST_FFT_PAIR_H
#define EBB_HOST_FFT_PAIR_H

#include <stddef.h>
#include <stdint.h>

/* A transform of length n and its table of twiddle factors. Threads may share it. */
typedef struct EbbPairFft {
  int64_t n;
  const float *twiddles;
} EbbPairFft;

/* The smallest length >= n of the form 256 * 2^a * {1, 3, 5}. */
int64_t ebb_pair_length(int64_t n);

/* Bytes of the table for a length from ebb_pair_length, and its content; `length` points to an int64_t. The
   table is 64-byte aligned. */
size_t ebb_pair_table_bytes(int64_t n);
void ebb_pair_table_fill(const void *length, void *table);

/* Where the imaginary parts start, and floats of a whole row; a few cache lines keep the two halves out of
   the same cache sets. */
static inline int64_t ebb_pair_imag(int64_t n) { return n + 64; }
static inline int64_t ebb_pair_floats(int64_t n) { return 2 * n + 128; }

/* In place; z is 64-byte aligned. The inverse is not divided by n. */
void ebb_pair_forward(const EbbPairFft *fft, float *z);
void ebb_pair_inverse(const EbbPairFft *fft, float *z);

/* z *= k; z *= conj(k); sum += z conj(w), all element by element over spectra. No two may overlap. */
void ebb_pair_multiply(int64_t n, float *z, const float *k);
void ebb_pair_multiply_conj(int64_t n, float *z, const float *k);
void ebb_pair_correlate(int64_t n, float *sum, const float *z, const float *w);

#endif
