#include "host/data/aside.h"

#include <stdlib.h>
#include <string.h>

#include "ebb/numpy_random.h"

static EbbStatus view(const EbbSamples *of, const int64_t *order, int64_t n, EbbSamples *out) {
  int64_t *copy = malloc((size_t)(n + 1) * sizeof *copy);
  if (!copy) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld samples", (long long)n);
  memcpy(copy, order, (size_t)n * sizeof *copy);
  const int64_t stored = of->order ? of->n_stored : of->n_samples;
  *out = *of;
  out->n_samples = n, out->n_stored = stored, out->order = copy;
  return EBB_OK;
}

EbbStatus ebb_dataset_deal(EbbDataset *dataset, const int64_t *order, int64_t n_train, int64_t n_val,
                           int64_t n_test) {
  EbbSamples *split = dataset->split;
  const EbbSamples all = split[EBB_TRAIN];
  if (n_val > 0) EBB_TRY(view(&all, order + n_train, n_val, &split[EBB_VALIDATION]));
  if (n_test > 0) EBB_TRY(view(&all, order + n_train + n_val, n_test, &split[EBB_TEST]));
  return view(&all, order, n_train, &split[EBB_TRAIN]);
}

EbbStatus ebb_dataset_torch_validation(EbbDataset *dataset, double share, uint32_t seed) {
  if (share <= 0) return EBB_OK;
  const int64_t n = dataset->split[EBB_TRAIN].n_samples, n_train = (int64_t)((double)n * (1.0 - share));
  if (n_train < 1 || n_train >= n)
    return ebb_fail(EBB_INVALID,
                    "%s: dataset.val_split=%g of %lld samples leaves %lld for training and %lld for "
                    "validation; both need some",
                    dataset->name, share, (long long)n, (long long)n_train, (long long)(n - n_train));
  int64_t *order = malloc((size_t)n * sizeof *order);
  if (!order) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld samples", (long long)n);
  ebb_torch_permutation(seed, n, order);
  const EbbStatus status = ebb_dataset_deal(dataset, order, n_train, n - n_train, 0);
  free(order);
  return status;
}

EbbStatus ebb_dataset_test_as_validation(EbbDataset *dataset, const int64_t *order) {
  const EbbSamples *test = &dataset->split[EBB_TEST];
  return view(test, order, test->n_samples, &dataset->split[EBB_VALIDATION]);
}

void ebb_dataset_cut(EbbDataset *dataset, int64_t most) {
  EbbSamples *train = &dataset->split[EBB_TRAIN];
  if (most > 0 && train->n_samples > most) train->n_samples = most;
}
