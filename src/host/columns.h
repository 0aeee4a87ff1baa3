/* Statistics down the columns of a (H, width) tile whose rows lie `stride` floats apart; vectorised over
 * columns. */
#ifndef EBB_HOST_COLUMNS_H
#define EBB_HOST_COLUMNS_H

#include <stdint.h>

#include "ebb/scalar.h"

/* mean[i] and biased var[i] of column i: mean first, then squared deviations, while the tile is in cache. */
EBB_INLINE void ebb_column_moments(const float *x, int64_t H, int64_t stride, int64_t width,
                                   float *restrict mean, float *restrict var) {
  const float inverse = 1.0f / (float)H;
  for (int64_t i = 0; i < width; i++) mean[i] = var[i] = 0;
  for (int64_t h = 0; h < H; h++) {
    const float *restrict row = x + h * stride;
    for (int64_t i = 0; i < width; i++) mean[i] += row[i];
  }
  for (int64_t i = 0; i < width; i++) mean[i] *= inverse;
  for (int64_t h = 0; h < H; h++) {
    const float *restrict row = x + h * stride;
    for (int64_t i = 0; i < width; i++) var[i] += (row[i] - mean[i]) * (row[i] - mean[i]);
  }
  for (int64_t i = 0; i < width; i++) var[i] *= inverse;
}

#endif
