/* Layer normalisation of x (B, H, L) over H at every (b, l): y = (x - mean) rstd weight + bias, rstd = 1 /
   sqrt(var + eps) with the biased variance. Parameters weight (H) = 1, bias (H) = 0. Source: Ba, Kiros and
   Hinton 2016, "Layer Normalization". */
#ifndef EBB_OPS_LAYER_NORM_H
#define EBB_OPS_LAYER_NORM_H

#include "ebb/op.h"
#include "ebb/ops/norm.h"

typedef struct EbbLayerNormConfig {
  double eps; /* published: 1e-5 */
} EbbLayerNormConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbLayerNormArgs {
  const float *x;             /* (B, H, L), read again by backward */
  float *dx;                  /* (B, H, L) or NULL */
  bool add_dx;                /* dx: add to what is there, else overwrite */
  const float *weight, *bias; /* (H) */
  float *dweight, *dbias;     /* (H), added to; NULL: not wanted */
  float *mean, *rstd;         /* (B, L) each, forward to backward */
  float *partial;             /* (parts, 2, H) scratch of backward */
  float *y;                   /* (B, H, L) */
  const float *dy;            /* (B, H, L) */
  int64_t B, H, L;
  int64_t parts;    /* ebb_norm_parts */
  EbbDtype storage; /* of x, dx, y and dy */
  double eps;
} EbbLayerNormArgs;

/* dL/dx of y = xhat weight + bias, with g = dy weight: mean_g and mean_dot are the means over H of g and g
 * xhat. */
EBB_INLINE float ebb_layer_norm_dx(float g, float xhat, float rstd, float mean_g, float mean_dot) {
  return rstd * (g - mean_g - xhat * mean_dot);
}

#endif
