/* What a person wants to know of a data set before training on it. */
#ifndef EBB_HOST_DATA_DATASET_FACTS_H
#define EBB_HOST_DATA_DATASET_FACTS_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FACTS_QUANTILES = 5 /* 0, 25, 50, 75 and 100 % */ };

/* Of numbers, NaN and infinities apart. */
typedef struct EbbRange {
  int64_t n, n_strange; /* finite, and other ones */
  double least, most, mean, deviation;
} EbbRange;

typedef struct EbbSplitFacts {
  int64_t n_samples, n_steps; /* steps of all sequences */
  int64_t length[FACTS_QUANTILES];
  int64_t *count;   /* (n_classes) labels, per step where the data set is; or NULL */
  int64_t n_labels; /* their sum */
  EbbRange values, targets, tokens;
} EbbSplitFacts;

/* As batches show the split. It may be empty. Lifetime: free(count), after an error too. Errors: INVALID (a
   data set that no loader takes), MEMORY. */
EbbStatus ebb_split_facts(const EbbDataset *dataset, EbbSplit split, EbbSplitFacts *facts) EBB_MUST_CHECK;

/* Bytes of all arrays, each counted once. */
int64_t ebb_dataset_bytes(const EbbDataset *dataset);

#ifdef __cplusplus
}
#endif
#endif
