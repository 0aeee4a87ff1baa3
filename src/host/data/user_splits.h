/* Splits of a user's samples. */
#ifndef EBB_HOST_DATA_USER_SPLITS_H
#define EBB_HOST_DATA_USER_SPLITS_H

#include "host/data/store.h"

/* The store has counts[EBB_TRAIN] samples, then those of the validation and of the test. A split of no
   samples gets dataset.val_split or dataset.test_split of the training samples, at least one, by torch's
   permutation of seed 42, which the published code uses. Errors: INVALID (nothing is left to train on),
   MEMORY. */
EbbStatus ebb_user_splits(EbbStore *store, const int64_t counts[EBB_SPLITS],
                          const EbbConfig *config) EBB_MUST_CHECK;

#endif
