/* The files trainx.npy, trainy.npy, validx.npy, ... of a folder. */
#ifndef EBB_HOST_DATA_SPLIT_ARRAYS_H
#define EBB_HOST_DATA_SPLIT_ARRAYS_H

#include "host/data/arrays.h"
#include "host/data/data_file.h"

/* Adds them in this order; counts: samples, 0 where a split has no file (training must). Errors: NOT_FOUND;
   as ebb_npy_parse and ebb_arrays_add. */
EbbStatus ebb_split_arrays_read(const EbbDataSource *source, EbbStore *store, const EbbArrayRules *rules,
                                int64_t counts[EBB_SPLITS]) EBB_MUST_CHECK;

#endif
