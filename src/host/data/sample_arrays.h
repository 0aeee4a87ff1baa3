/* The arrays of a data set as a table: where each pointer stands and how long its array is. */
#ifndef EBB_HOST_DATA_SAMPLE_ARRAYS_H
#define EBB_HOST_DATA_SAMPLE_ARRAYS_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_SAMPLE_ARRAYS = 8, EBB_DATASET_ARRAYS = 4 };

/* Array `index` of a split, and its bytes; of the data set itself. token_text is not among them. */
void *ebb_sample_array(const EbbSamples *samples, int index);
void ebb_set_sample_array(EbbSamples *samples, int index, void *array);
size_t ebb_sample_array_bytes(const EbbDataset *dataset, const EbbSamples *samples, int index);
void *ebb_dataset_array(const EbbDataset *dataset, int index);
void ebb_set_dataset_array(EbbDataset *dataset, int index, void *array);
size_t ebb_dataset_array_bytes(const EbbDataset *dataset, int index);

/* Whether a split before `split` has the array too. */
bool ebb_array_is_earlier(const EbbDataset *dataset, int split, const void *array);

#ifdef __cplusplus
}
#endif
#endif
