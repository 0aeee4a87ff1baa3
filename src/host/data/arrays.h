/* Arrays x and y made samples of a store: x (n, L) or (n, L, d). y (n): classes or numbers; (n, k) numbers;
   (n, L) whole: a class a step; (n, L, k): numbers a step. */
#ifndef EBB_HOST_DATA_ARRAYS_H
#define EBB_HOST_DATA_ARRAYS_H

#include "host/data/missing.h"
#include "host/data/npy.h"
#include "host/data/store.h"

typedef struct EbbArrays {
  EbbNpy x, y;
  const char *x_name, *y_name; /* for errors */
} EbbArrays;

typedef struct EbbArrayRules {
  EbbMissing missing;
  int64_t
      n_classes; /* 0: y are numbers; below 0: y are classes where they are whole, as many as occur first */
} EbbArrayRules;

/* The first arrays set the data set's sizes, which the others must have. x is changed. Errors: FORMAT (names,
   index and what was expected), MEMORY. */
EbbStatus ebb_arrays_add(EbbStore *store, EbbArrays *arrays, const EbbArrayRules *rules) EBB_MUST_CHECK;

#endif
