/* A residual connection: x, r (any shape, the same) -> y = x + drop(r); r alone -> y = drop(r). Dropout is of
   ops/dropout.h, element by element, in training only. */
#ifndef EBB_OPS_RESIDUAL_H
#define EBB_OPS_RESIDUAL_H

#include "ebb/op.h"
#include "ebb/ops/dropout.h"

typedef struct EbbResidualConfig {
  double dropout; /* 0 <= dropout < 1 */
} EbbResidualConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbResidualArgs {
  const float *x, *r;  /* (size) each; x may be NULL */
  float *dx, *dr;      /* (size) or NULL */
  bool add_dx, add_dr; /* add to what is there, else overwrite */
  float *y;            /* (size) */
  const float *dy;     /* (size) */
  int64_t size;
  float dropout;
  uint32_t node; /* of the dropout's draws */
} EbbResidualArgs;

#endif
