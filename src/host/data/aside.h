/* Splits that are views of others' samples: a validation and a test set aside from the training, or the test
   as validation. */
#ifndef EBB_HOST_DATA_ASIDE_H
#define EBB_HOST_DATA_ASIDE_H

#include "ebb/data.h"

/* Deals the training split anew: samples order[0 .. n_train) are the training, the n_val behind them the
   validation and the n_test behind those the test split; of a part with 0 samples the split stays as it is.
   Errors: MEMORY. */
EbbStatus ebb_dataset_deal(EbbDataset *dataset, const int64_t *order, int64_t n_train, int64_t n_val,
                           int64_t n_test) EBB_MUST_CHECK;

/* Sets aside as S4's loaders do: of torch's permutation (seed) the first int(n (1 - share)) samples are the
   training, the others the validation; share 0: no validation. Errors: INVALID (an empty part), MEMORY. */
EbbStatus ebb_dataset_torch_validation(EbbDataset *dataset, double share, uint32_t seed) EBB_MUST_CHECK;

/* The published way of a data set without a validation: the test split is looked at instead, its samples in
   the given order, so that a part of it is a sample of the whole. Errors: MEMORY. */
EbbStatus ebb_dataset_test_as_validation(EbbDataset *dataset, const int64_t *order) EBB_MUST_CHECK;

/* Leaves the first `most` samples of the training split; 0: all. */
void ebb_dataset_cut(EbbDataset *dataset, int64_t most);

#endif
