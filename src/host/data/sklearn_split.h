/* The random split of scikit-learn's train_test_split, bit for bit. */
#ifndef EBB_HOST_DATA_SKLEARN_SPLIT_H
#define EBB_HOST_DATA_SKLEARN_SPLIT_H

#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* train_test_split(items, train_size=share, random_state=seed): items[0..n) are reordered, first the
   *n_train = floor(share n) of its train part, then its test part. With labels (of item i: labels[i]) from 0
   to n_classes - 1 as stratify=labels does it; NULL: without. Source: sklearn.model_selection,
   StratifiedShuffleSplit and _approximate_mode. Errors: INVALID (n is not in 2..2^31, a part is empty),
   MEMORY.
 */
EbbStatus ebb_sklearn_split(int64_t *items, int64_t n, double share, uint32_t seed, const int32_t *labels,
                            int n_classes, int64_t *n_train) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
