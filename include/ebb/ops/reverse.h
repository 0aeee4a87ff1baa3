/* Rows backwards in time: x (B, T, C) [, lengths (B)] -> y (B, T, C), y[b, t] = x[b, n - 1 - t] for t < n =
   lengths[b] or T, x[b, t] behind. What is reversed twice is itself. Of intervals, x (B, T): the time between
   two steps goes along with the step that it now leads to, x[b, n - t] for 0 < t < n, and the first one
   stays. */
#ifndef EBB_OPS_REVERSE_H
#define EBB_OPS_REVERSE_H

#include "ebb/op.h"
#include "ebb/scalar.h"

typedef struct EbbReverseConfig {
  bool intervals; /* x is (B, T) and has no gradient */
} EbbReverseConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbReverseArgs {
  const float *x;         /* (B, T, C) */
  float *dx;              /* (B, T, C) or NULL */
  bool add_dx;            /* dx: add to what is there, else overwrite */
  const int32_t *lengths; /* (B) in 0..T, or NULL */
  float *y;               /* (B, T, C) */
  const float *dy;        /* (B, T, C) */
  int64_t B, T, C;
  bool intervals;
} EbbReverseArgs;

/* The step that y's step t is, of n. */
EBB_INLINE int64_t ebb_reverse_step(int64_t t, int64_t n, bool intervals) {
  if (t >= n || (intervals && t == 0)) return t;
  return intervals ? n - t : n - 1 - t;
}

#endif
