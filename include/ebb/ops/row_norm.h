/* Layer normalisation over the last axis of x (..., H): y = (x - mean) rstd weight + bias, rstd = 1 /
   sqrt(var
   + eps) with the biased variance. Source: Ba, Kiros and Hinton 2016, "Layer Normalization". */
#ifndef EBB_OPS_ROW_NORM_H
#define EBB_OPS_ROW_NORM_H

#include "ebb/op.h"
#include "ebb/ops/layer_norm.h"

/* How weight starts: all ones, or as a matrix (1, H) by Glorot's rule, U(-sqrt(3/H), sqrt(3/H)), which is
   what Axon does. bias starts at 0. */
typedef struct EbbRowNormConfig {
  double eps;                /* published: 1e-5 */
  bool glorot;               /* weight */
  const char *weight, *bias; /* names; NULL: "weight", "bias". Lifetime: the graph's */
} EbbRowNormConfig;

/* All pointers are disjoint device memory of the graph. R is the product of the leading dimensions. */
typedef struct EbbRowNormArgs {
  const float *x;             /* (R, H), read again by backward */
  float *dx;                  /* (R, H) or NULL */
  bool add_dx;                /* dx: add to what is there, else overwrite */
  const float *weight, *bias; /* (H) */
  float *dweight, *dbias;     /* (H), added to; NULL: not wanted */
  float *mean, *rstd;         /* (R) each, forward to backward */
  float *partial;             /* (parts, 2, H) scratch of backward: sums for weight and bias */
  float *y;                   /* (R, H) */
  const float *dy;            /* (R, H) */
  int64_t R, H, parts, part_rows;
  double eps;
} EbbRowNormArgs;

/* Rows whose gradients for weight and bias are one part. */
EBB_INLINE int64_t ebb_row_norm_part_rows(int64_t R) {
  const int64_t least = 64, most_parts = 1024, rows = (R + most_parts - 1) / most_parts;
  return rows > least ? rows : least;
}

#endif
