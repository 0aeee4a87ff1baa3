#include "host/data/user_splits.h"

#include <stdlib.h>

#include "ebb/numpy_random.h"

enum { SEED = 42 };

static int64_t share_of(const EbbConfig *config, const char *key, int64_t n) {
  const double share = ebb_config_number(config, key);
  const int64_t samples = (int64_t)(share * (double)n);
  return share > 0 && samples < 1 ? 1 : samples;
}

EbbStatus ebb_user_splits(EbbStore *store, const int64_t counts[EBB_SPLITS], const EbbConfig *config) {
  static const char *const keys[EBB_SPLITS] = {
      [EBB_VALIDATION] = "dataset.val_split", [EBB_TEST] = "dataset.test_split"};
  const int64_t n = counts[EBB_TRAIN];
  int64_t aside[EBB_SPLITS] = {0};
  for (int split = EBB_VALIDATION; split < EBB_SPLITS; split++)
    if (counts[split] == 0) aside[split] = share_of(config, keys[split], n);
  aside[EBB_TRAIN] = n - aside[EBB_VALIDATION] - aside[EBB_TEST];
  if (aside[EBB_TRAIN] < 1)
    return ebb_fail(EBB_INVALID,
                    "%s: dataset.val_split and dataset.test_split leave none of %lld samples to train on",
                    store->dataset->name, (long long)n);
  int64_t *order = malloc(((size_t)n + 1) * sizeof *order);
  if (!order) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld samples", (long long)n);
  ebb_torch_permutation(SEED, n, order);
  EbbStatus status = ebb_store_view(store, EBB_TRAIN, order, 0, aside[EBB_TRAIN]);
  int64_t first = n, from = aside[EBB_TRAIN]; /* behind those that have a place already */
  for (int split = EBB_VALIDATION; status == EBB_OK && split < EBB_SPLITS; split++) {
    status = counts[split] > 0 ? ebb_store_view(store, (EbbSplit)split, NULL, first, counts[split])
                               : ebb_store_view(store, (EbbSplit)split, order + from, 0, aside[split]);
    first += counts[split], from += aside[split];
  }
  free(order);
  return status;
}
