/* Linear encoder into channel-first layout: x (B, L, I) -> y (B, H, L), y[b, h, l] = bias[h] + sum_i
   weight[h, i] x[b, l, i]. Parameters weight (H, I), bias (H): U(-1/sqrt(I), 1/sqrt(I)). */
#ifndef EBB_OPS_ENCODE_LINEAR_H
#define EBB_OPS_ENCODE_LINEAR_H

#include "ebb/op.h"

typedef struct EbbEncodeLinearConfig {
  int64_t I, H;
} EbbEncodeLinearConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbEncodeLinearArgs {
  const float *x;      /* (B, L, I) */
  float *dx;           /* (B, L, I) or NULL */
  bool add_dx;         /* dx: add to what is there, else overwrite */
  const float *weight; /* (H, I) */
  const float *bias;   /* (H) */
  float *dweight;      /* (H, I), added to; NULL: not wanted */
  float *dbias;        /* (H), added to; NULL: not wanted */
  float *y;            /* (B, H, L) */
  const float *dy;     /* (B, H, L) */
  int64_t B, L, I, H;
} EbbEncodeLinearArgs;

#endif
