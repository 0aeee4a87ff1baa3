/* Linear layer on the last dimension: x (..., I) -> y (..., O) = x weight^T + bias. Parameters weight (O, I),
   bias (O): U(-1/sqrt(I), 1/sqrt(I)). */
#ifndef EBB_OPS_LINEAR_H
#define EBB_OPS_LINEAR_H

#include "ebb/op.h"

typedef struct EbbLinearConfig {
  int64_t O;
} EbbLinearConfig;

/* All pointers are disjoint device memory of the graph. R is the product of the leading dimensions. */
typedef struct EbbLinearArgs {
  const float *x;         /* (R, I), read again by backward */
  float *dx;              /* (R, I) or NULL */
  bool add_dx;            /* dx: add to what is there, else overwrite */
  const float *weight;    /* (O, I) */
  const float *bias;      /* (O) */
  float *dweight, *dbias; /* (O, I) and (O), added to; NULL: not wanted */
  float *y;               /* (R, O) */
  const float *dy;        /* (R, O) */
  int64_t R, I, O;
} EbbLinearArgs;

#endif
