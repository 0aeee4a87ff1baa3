/* Layer normalisation with scalar parameters: x (B, H, L) -> y = (s / std) (x - mean + m), mean and biased
   standard deviation over H at every (b, l), no epsilon. Parameters s (1) = 1, m (1) = 0. Source: the
   transposed LayerNorm of the published S4 code. A column whose H values are all equal has std = 0 and gives
   NaN, as it does there. */
#ifndef EBB_OPS_LAYER_NORM_SCALAR_H
#define EBB_OPS_LAYER_NORM_SCALAR_H

#include "ebb/op.h"
#include "ebb/ops/norm.h"

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbLayerNormScalarArgs {
  const float *x;     /* (B, H, L), read again by backward; H >= 2 */
  float *dx;          /* (B, H, L) or NULL */
  bool add_dx;        /* dx: add to what is there, else overwrite */
  const float *s, *m; /* (1) */
  float *ds, *dm;     /* (1), added to; NULL: not wanted */
  float *mean, *rstd; /* (B, L) each, forward to backward */
  double *partial;    /* (parts, 2) scratch of backward */
  float *y;           /* (B, H, L) */
  const float *dy;    /* (B, H, L) */
  int64_t B, H, L;
  int64_t parts;    /* ebb_norm_parts */
  EbbDtype storage; /* of x, dx, y and dy */
} EbbLayerNormScalarArgs;

EBB_INLINE float ebb_layer_norm_scalar_apply(float x, float mean, float rstd, float s, float m) {
  return s * rstd * (x - mean + m);
}

/* dL/dx with d = x - mean; mean_dy and mean_dot are the means over H of dy and dy d. */
EBB_INLINE float ebb_layer_norm_scalar_dx(float dy, float d, float rstd, float s, float m, float mean_dy,
                                          float mean_dot) {
  return s * rstd * (dy - mean_dy - rstd * rstd * (mean_dot + m * mean_dy) * d);
}

#endif
