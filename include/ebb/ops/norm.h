/* What the normalisations share. */
#ifndef EBB_OPS_NORM_H
#define EBB_OPS_NORM_H

#include <stdbool.h>

#include "ebb/scalar.h"

/* The epsilon that models give batch and layer norm, as published. */
#define EBB_NORM_EPS 1e-5

/* y = (x - mean) scale + bias, scale = rstd weight. */
EBB_INLINE float ebb_norm_apply(float x, float mean, float scale, float bias) {
  return (x - mean) * scale + bias;
}

EBB_INLINE float ebb_norm_rstd(float var, float eps) { return 1.0f / sqrtf(var + eps); }

/* Mean and summed squared deviation of everything seen. */
typedef struct EbbMoments {
  double count, mean, squares;
} EbbMoments;

/* Of `count` values, from the sum of their deviations from `shift` and the sum of the deviations' squares.
   The shift is near the mean; the deviations' own mean is put back, so that a large mean costs no digits of
   the variance. */
EBB_INLINE EbbMoments ebb_moments_about(float shift, double count, double sum, double squares) {
  const double off = sum / count;
  const EbbMoments moments = {count, (double)shift + off, squares - count * off * off};
  return moments;
}

/* Of all values of a and b. Source: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample
   variance", equation 2.1. */
EBB_INLINE EbbMoments ebb_moments_join(EbbMoments a, EbbMoments b) {
  if (!(b.count > 0)) return a;
  const double count = a.count + b.count, delta = b.mean - a.mean, share = b.count / count;
  const EbbMoments both = {count, a.mean + delta * share,
                           a.squares + b.squares + delta * delta * a.count * share};
  return both;
}

/* Columns that one CPU task of a norm over channels handles: H x 128 floats stay in the level-2 cache up to H
 * = 1024. */
enum { EBB_NORM_TILE = 128 };

/* On CUDA a tile of a norm over channels is EBB_NORM_COLUMNS columns wide, a warp's width, and at most
   EBB_NORM_BLOCKS blocks walk over the tiles in backward, each with its own sums for the parameters. */
enum { EBB_NORM_COLUMNS = 32, EBB_NORM_BLOCKS = 1024 };

/* Sums that backward of a norm over channels leaves for the parameters: one a tile on the CPU, one a block on
   CUDA. */
EBB_INLINE int64_t ebb_norm_parts(int64_t B, int64_t L, bool cuda) {
  if (!cuda) return B * ((L + EBB_NORM_TILE - 1) / EBB_NORM_TILE);
  const int64_t tiles = (B * L + EBB_NORM_COLUMNS - 1) / EBB_NORM_COLUMNS;
  return tiles < EBB_NORM_BLOCKS ? tiles : (int64_t)EBB_NORM_BLOCKS;
}

#endif
