/* Tokens in as few bytes as the vocabulary needs. */
#ifndef EBB_HOST_DATA_COMPACT_H
#define EBB_HOST_DATA_COMPACT_H

#include "ebb/data.h"

/* Stores the tokens of all splits raw where bytes or 16-bit numbers hold every id; batches are the same.
   Errors: MEMORY. */
EbbStatus ebb_dataset_compact(EbbDataset *dataset) EBB_MUST_CHECK;

#endif
