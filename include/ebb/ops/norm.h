/* What the normalisations share. */
#ifndef EBB_OPS_NORM_H
#define EBB_OPS_NORM_H

#include "ebb/scalar.h"

/* The epsilon that models give batch and layer norm, as published. */
#define EBB_NORM_EPS 1e-5

/* y = (x - mean) scale + bias, scale = rstd weight. */
EBB_INLINE float ebb_norm_apply(float x, float mean, float scale, float bias) {
  return (x - mean) * scale + bias;
}

/* Columns that one CPU task of a norm over channels handles: H x 128 floats stay in the level-2 cache up to H
 * = 1024. */
enum { EBB_NORM_TILE = 128 };

#endif
