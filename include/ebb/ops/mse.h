/* Mean squared error: prediction (..., O), targets (..., O) [, weights (...)] -> loss () = sum_b w_b mean_o
   (prediction - target)^2 / sum_b w_b, and scores (EBB_SCORE_SUMS), which have no gradient. Leading
   dimensions are rows. Rows of weight 0 fill a batch up and are not looked at. */
#ifndef EBB_OPS_MSE_H
#define EBB_OPS_MSE_H

#include "ebb/op.h"
#include "ebb/ops/scores.h"
#include "ebb/scalar.h"

enum { EBB_MSE_PARTIALS = 256 };

/* All pointers are disjoint device memory of the graph. Forward fails with INVALID where a weight is negative
   or not finite (naming the row) or all weights are 0. */
typedef struct EbbMseArgs {
  const float *x;       /* (B, O) prediction, read again by backward */
  float *dx;            /* (B, O) or NULL */
  bool add_dx;          /* dx: add to what is there, else overwrite */
  const float *targets; /* (B, O) */
  const float *weights; /* (B) or NULL: all 1 */
  float *loss;          /* () */
  float *scores;        /* (EBB_SCORE_SUMS) */
  const float *dloss;   /* () */
  double *weight_sum;   /* () forward to backward */
  double *partials;     /* (2, EBB_MSE_PARTIALS) scratch of forward on a GPU */
  int64_t B, O;         /* B rows in all */
} EbbMseArgs;

/* w: 2 dL/dloss times the row's share. What w 0 stands before is not looked at and may be NaN. */
EBB_INLINE float ebb_mse_dx(float w, float x, float target) { return w != 0 ? w * (x - target) : 0; }

#endif
