/* The last step of every row: x (B, T, H), [lengths (B)] -> y (B, H) = x[b, (lengths[b] or T) - 1]; no
 * config.
 */
#ifndef EBB_OPS_LAST_STEP_H
#define EBB_OPS_LAST_STEP_H

#include "ebb/op.h"

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbLastStepArgs {
  const float *x;         /* (B, T, H) */
  float *dx;              /* (B, T, H) or NULL */
  bool add_dx;            /* dx: add to what is there, else overwrite */
  const int32_t *lengths; /* (B) in 1..T, or NULL */
  float *y;               /* (B, H) */
  const float *dy;        /* (B, H) */
  int64_t B, T, H;
} EbbLastStepArgs;

#endif
