/* The data set `csv`: a user's own recordings in text tables. */
#ifndef EBB_HOST_DATA_CSV_DATASET_H
#define EBB_HOST_DATA_CSV_DATASET_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads dataset.file: rows in the order of time, of which training has the first, then validation
   (dataset.val_split of the rows), then test (dataset.test_split); dataset.val_file and dataset.test_file
   take the place of those parts. Windows of dataset.window rows every dataset.stride are cut inside each
   part. Columns: dataset.inputs, targets or labels, and time, whose differences are the elapsed times. Inputs
   and targets are z-scored by the training rows unless dataset.normalise=false. Classes are sorted: by number
   where all are whole numbers, else by their bytes; those of the training part are all there are. Errors:
   INVALID (settings, columns), NOT_FOUND, FORMAT (file, line and what was expected), IO, MEMORY. */
EbbStatus ebb_csv_dataset_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
