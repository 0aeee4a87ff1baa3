/* The loops behind optim.h and tally.h, one table a backend. All pointers are device memory; on a GPU nothing
   here waits. */
#ifndef EBB_HOST_LEARN_OPTIM_KERNELS_H
#define EBB_HOST_LEARN_OPTIM_KERNELS_H

#include "ebb/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_SQUARE_PARTIALS = 1024 };

/* Flat floats begin .. end - 1 and how they move. */
typedef struct EbbUpdateGroup {
  int64_t begin, end;
  EbbAdamWRates rates;
  EbbConstraint constraint;
  float low, high; /* where it is not EBB_FREE */
} EbbUpdateGroup;

/* The number in [low, high] that is nearest to x; a NaN stays one. */
EBB_INLINE float ebb_constrained(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
}

typedef struct EbbUpdate {
  float *value, *grad, *m, *v;  /* (size), 256-byte aligned */
  int64_t size;                 /* a multiple of 16, as are begin and end of groups */
  const EbbUpdateGroup *groups; /* (n_groups), ascending and disjoint; what lies between them stands still */
  int n_groups;
  const double *most_norm;  /* () bound of the norm, 0 for none */
  const double *square_sum; /* () of all gradients */
  EbbTally *tally;          /* norm is written; a norm that is not finite sets failure */
} EbbUpdate;

/* Sizes and alignment of all buffers as in EbbUpdate. square_sum: partials is scratch of EBB_SQUARE_PARTIALS.
   update: multiplies gradients by the clip scale, steps, enforces constraints and sets all gradients to zero;
   does nothing but note it where tally->failure is set already or the norm is not finite. */
typedef struct EbbOptimKernels {
  EbbStatus (*square_sum)(EbbDevice *device, const float *x, int64_t size, double *partials, double *sum);
  EbbStatus (*update)(EbbDevice *device, const EbbUpdate *update);
  EbbStatus (*mix)(EbbDevice *device, float *average, const float *value, int64_t size, float weight);
  EbbStatus (*swap)(EbbDevice *device, float *a, float *b, int64_t size);
  EbbStatus (*tally)(EbbDevice *device, EbbTally *tally, const float *loss, const float *scores,
                     const float *weights, int64_t n);
} EbbOptimKernels;

extern const EbbOptimKernels ebb_optim_cpu, ebb_optim_cuda;

/* The kernels for a device. Errors: UNSUPPORTED. */
EbbStatus ebb_optim_kernels(const EbbDevice *device, const EbbOptimKernels **kernels) EBB_MUST_CHECK;

/* One batch into a tally: mean loss, scores or NULL, and samples. */
EBB_INLINE void ebb_tally_count(EbbTally *tally, float loss, const float *scores, double samples) {
  if (!(fabsf(loss) <= 3.402823466e38f) && tally->failure == EBB_TALLY_FINE)
    tally->failure = EBB_TALLY_LOSS, tally->failed_batch = tally->batches;
  tally->last_loss = (double)loss;
  tally->loss += (double)loss * samples;
  if (scores)
    for (int s = 0; s < EBB_SCORE_SUMS; s++) tally->scores[s] += (double)scores[s];
  tally->weight += samples;
  tally->batches++;
}

/* Whether an update may go ahead, given the square sum of the gradients; notes its norm, or that it failed in
   the batch that was counted last. */
EBB_INLINE int ebb_tally_update(EbbTally *tally, double square_sum) {
  if (tally->failure != EBB_TALLY_FINE) return 0;
  tally->norm = sqrt(square_sum);
  if (tally->norm <= 1.7976931348623157e308) return 1;
  tally->failure = EBB_TALLY_GRADIENT, tally->failed_batch = tally->batches - 1;
  return 0;
}

#ifdef __cplusplus
}
#endif
#endif
