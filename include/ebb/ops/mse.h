/* Mean squared error: prediction (B, O), targets (B, O) [, weights (B)] -> loss () = sum_b w_b mean_o
   (prediction - target)^2 / sum_b w_b. Rows of weight 0 fill a batch up and are not looked at. */
#ifndef EBB_OPS_MSE_H
#define EBB_OPS_MSE_H

#include "ebb/op.h"

/* All pointers are disjoint device memory of the graph. Forward fails with INVALID where a weight is negative
   or not finite (naming the row) or all weights are 0. */
typedef struct EbbMseArgs {
  const float *x;       /* (B, O) prediction, read again by backward */
  float *dx;            /* (B, O) or NULL */
  bool add_dx;          /* dx: add to what is there, else overwrite */
  const float *targets; /* (B, O) */
  const float *weights; /* (B) or NULL: all 1 */
  float *loss;          /* () */
  const float *dloss;   /* () */
  int64_t B, O;
} EbbMseArgs;

#endif
