/* Rows of one channel, two of a batch at a time, on their way into pair transforms. */
#ifndef EBB_HOST_OPS_S4_PAIRS_H
#define EBB_HOST_OPS_S4_PAIRS_H

#include "host/fft_pair.h"
#include "host/ops/s4_epilogue.h"

/* The batch that an op works on. */
typedef struct EbbS4Batch {
  int64_t B, H, L;
  const int32_t *lengths;
  EbbPairFft fft;
} EbbS4Batch;

/* Input `input` as lengths (B), where the node has that many inputs. Errors: SHAPE, those of setup. */
EbbStatus ebb_s4_lengths_setup(EbbSetup *setup, int input, int64_t B, const int32_t **lengths) EBB_MUST_CHECK;
/* Transform length and table for kernels of Lk taps on rows of L. */
EbbStatus ebb_s4_pairs_setup(EbbSetup *setup, int64_t taps_and_row, int64_t *n,
                             const float **twiddles) EBB_MUST_CHECK;

static inline EbbS4Row ebb_s4_row(const EbbS4Batch *batch, int64_t b, int64_t h) {
  return (EbbS4Row){b, h, batch->H, batch->L, ebb_s4_valid(batch->lengths, b, batch->L)};
}
static inline int64_t ebb_s4_row_start(const EbbS4Batch *batch, int64_t b, int64_t h) {
  return (b * batch->H + h) * batch->L;
}

/* The first `count` floats of `from`, then zeros up to n. */
void ebb_s4_fill_half(int64_t n, float *restrict half, const float *restrict from, int64_t count);
/* Rows b and b + 1 (zeros past the batch) of u, masked. */
void ebb_s4_load_pair(const EbbS4Batch *batch, int64_t b, int64_t h, const float *u, float *z);
/* dL/dx from dy for rows b and b + 1; returns their part of dD. */
double ebb_s4_load_grads(const EbbS4Batch *batch, const EbbS4Epilogue *epilogue, const EbbRun *run, int64_t b,
                         int64_t h, const float *dy, const float *u, float *z);
/* Taps of a causal kernel divided by n, then zeros; and their transform. */
void ebb_s4_place_taps(const EbbS4Batch *batch, int64_t taps, const float *k, float *z);
void ebb_s4_kernel_spectrum(const EbbS4Batch *batch, int64_t taps, const float *k, float *z);
/* dk (add ? += : =) the first `taps` lags of the correlation spectrum, which is destroyed. */
void ebb_s4_kernel_grad(const EbbS4Batch *batch, int64_t taps, float *spectrum, bool add, float *dk);

#endif
