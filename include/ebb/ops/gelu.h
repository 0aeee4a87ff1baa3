/* GELU, exact form: y = x Phi(x), any shape; no config. The formula is ebb_gelu in scalar.h.
   Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units". */
#ifndef EBB_OPS_GELU_H
#define EBB_OPS_GELU_H

#include "ebb/op.h"

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbGeluArgs {
  const float *x;  /* (size), read again by backward */
  float *dx;       /* (size) or NULL */
  bool add_dx;     /* dx: add to what is there, else overwrite */
  float *y;        /* (size) */
  const float *dy; /* (size) */
  int64_t size;
} EbbGeluArgs;

#endif
