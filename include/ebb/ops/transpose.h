/* Exchange of the last two dimensions: x (B, R, C) -> y (B, C, R). Models go from channels that stand before
   time to features of a step, and back. */
#ifndef EBB_OPS_TRANSPOSE_H
#define EBB_OPS_TRANSPOSE_H

#include "ebb/op.h"

/* Whether x and y are stored as the graph's activations are, else as float32. Gradients are stored like their
   values. */
typedef struct EbbTransposeConfig {
  bool x_activations, y_activations;
} EbbTransposeConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbTransposeArgs {
  const float *x;  /* (B, R, C) */
  float *dx;       /* (B, R, C) or NULL */
  bool add_dx;     /* dx: add to what is there, else overwrite */
  float *y;        /* (B, C, R) */
  const float *dy; /* (B, C, R) */
  EbbDtype x_type, y_type;
  int64_t B, R, C;
} EbbTransposeArgs;

#endif
