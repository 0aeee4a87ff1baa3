/* The contents of one batch: which steps of which samples it shows. */
#ifndef EBB_HOST_DATA_BATCH_H
#define EBB_HOST_DATA_BATCH_H

#include "ebb/data.h"

/* Samples as a loader's settings show them. */
typedef struct EbbShown {
  const EbbDataset *dataset;
  const EbbSamples *samples;
  EbbLoaderConfig config;
} EbbShown;

/* Errors: INVALID (an order, a permutation or scales that do not fit the stored sequences). */
EbbStatus ebb_shown_check(const EbbShown *shown) EBB_MUST_CHECK;
/* Length of sample s of the split (its longest tower) as a batch shows it. */
int64_t ebb_shown_length(const EbbShown *shown, int64_t s);
/* Length of a batch whose longest sample has `longest` steps. */
int64_t ebb_shown_padded(const EbbShown *shown, int64_t longest);

/* A batch of config.batch_size samples with at most `longest` steps. Lifetime: ebb_batch_release, after an
   error too. Errors: MEMORY. */
EbbStatus ebb_batch_allocate(const EbbShown *shown, int64_t longest, EbbBatch *batch) EBB_MUST_CHECK;
void ebb_batch_release(EbbBatch *batch);

/* Samples samples[0 .. n-1] of the split, 1 <= n <= rows, become the batch. */
void ebb_batch_fill(const EbbShown *shown, const int64_t *samples, int64_t n, EbbBatch *batch);

/* a * b * c zeroed elements; NULL when that is too much. */
void *ebb_batch_array(int64_t a, int64_t b, int64_t c, size_t size);

#endif
