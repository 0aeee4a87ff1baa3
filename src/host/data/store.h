/* Samples read one after the other into common arrays, of which the splits are views. */
#ifndef EBB_HOST_DATA_STORE_H
#define EBB_HOST_DATA_STORE_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbStoreKind { EBB_STORE_FLOATS, EBB_STORE_I16, EBB_STORE_TOKENS } EbbStoreKind;

typedef struct EbbStore {
  EbbDataset *dataset; /* the sizes are set by whoever fills the store, before the first sample */
  EbbStoreKind kind;
  EbbSamples samples;        /* stored so far */
  int64_t capacity, steps;   /* samples and steps that there is room for */
  int64_t shortest, longest; /* steps of a sample */
} EbbStore;

typedef struct EbbSample {
  const void *elements; /* (n_steps, d_input) float or int16_t; (n_steps) int32_t tokens */
  int64_t n_steps;
  const int32_t *labels; /* one, per step n_steps; NULL where there are targets */
  const float *targets;  /* (d_output), per step (n_steps, d_output); NULL where there are labels */
} EbbSample;

/* An empty store of single sequences. Lifetime: ebb_store_release, after an error too. Errors: MEMORY. */
EbbStatus ebb_store_create(const char *name, EbbStoreKind kind, EbbStore *store) EBB_MUST_CHECK;
void ebb_store_release(EbbStore *store);

/* Copies a sample behind the others. Errors: MEMORY. */
EbbStatus ebb_store_add(EbbStore *store, const EbbSample *sample) EBB_MUST_CHECK;

/* The split is stored samples order[0 .. n-1], which are copied; NULL: first .. first + n - 1. Errors:
   MEMORY. */
EbbStatus ebb_store_view(EbbStore *store, EbbSplit split, const int64_t *order, int64_t first,
                         int64_t n) EBB_MUST_CHECK;

/* The store becomes the data set. max_samples > 0 leaves so many of the training samples, evenly spread.
   Errors: FORMAT (a split is empty). */
EbbStatus ebb_store_finish(EbbStore *store, int64_t max_samples, EbbDataset **out) EBB_MUST_CHECK;

/* z-score of every feature by the steps of the training split: numbers are rewritten, 16-bit ones get scales.
   A feature that does not vary is only shifted. Errors: MEMORY. */
EbbStatus ebb_store_normalise(EbbStore *store) EBB_MUST_CHECK;

/* The same for 16-bit samples of one length, for each step by itself: (x - mean) / (deviation + eps), with
   the unbiased deviation, and eps a share of full scale (32768). Errors: MEMORY. */
EbbStatus ebb_store_normalise_steps(EbbStore *store, double eps) EBB_MUST_CHECK;

/* Refuses samples that the default of dataset.l_max would cut without anybody having asked for it. Errors:
   INVALID. */
EbbStatus ebb_store_check_cut(const EbbStore *store, const EbbConfig *config) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
