/* Factors of dropout as further features: x (B, T, I) -> y (B, T, I + W) = (x, factors). In training a factor
   is one of ops/dropout.h, drawn for each row, step and column; else it is 1. What multiplies by them is a
   cell's program: dropout of vectors inside of a recurrent step. */
#ifndef EBB_OPS_DROPOUT_COLUMNS_H
#define EBB_OPS_DROPOUT_COLUMNS_H

#include "ebb/op.h"
#include "ebb/ops/dropout.h"

typedef struct EbbDropoutColumnsConfig {
  int64_t columns; /* W, at least 1 */
  double dropout;  /* 0 <= dropout < 1 */
} EbbDropoutColumnsConfig;

/* All pointers are disjoint device memory of the graph; rows = B T. */
typedef struct EbbDropoutColumnsArgs {
  const float *x;  /* (rows, I) */
  float *dx;       /* (rows, I) or NULL */
  bool add_dx;     /* dx: add to what is there, else overwrite */
  float *y;        /* (rows, I + W) */
  const float *dy; /* the same */
  int64_t rows, I, W;
  float dropout;
  uint32_t node; /* of the draws: element (row, column) is element row W + column */
} EbbDropoutColumnsArgs;

#endif
