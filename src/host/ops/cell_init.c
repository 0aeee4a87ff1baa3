#include "host/ops/cell_init.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "ebb/rng.h"

/* Takes from v its parts along the n vectors before it, twice against rounding, and gives it length 1. */
static void orthonormalize(double *v, const double *before, int64_t n, int64_t length) {
  for (int pass = 0; pass < 2; pass++)
    for (int64_t j = 0; j < n; j++) {
      double dot = 0;
      for (int64_t i = 0; i < length; i++) dot += v[i] * before[j * length + i];
      for (int64_t i = 0; i < length; i++) v[i] -= dot * before[j * length + i];
    }
  double square = 0;
  for (int64_t i = 0; i < length; i++) square += v[i] * v[i];
  for (int64_t i = 0; i < length; i++) v[i] /= sqrt(square);
}

EbbStatus ebb_cell_orthogonal(uint64_t seed, uint32_t stream, int64_t rows, int64_t columns, float *out) {
  const bool wide = rows <= columns;
  const int64_t vectors = wide ? rows : columns, length = wide ? columns : rows;
  double *v = calloc((size_t)(vectors * length), sizeof *v);
  if (!v)
    return ebb_fail(EBB_MEMORY, "no memory for an orthogonal matrix (%lld, %lld)", (long long)rows,
                    (long long)columns);
  for (int64_t i = 0; i < vectors * length; i++) {
    const EbbRandom4 r = ebb_random4(seed, 0, stream, (uint64_t)i);
    v[i] = ebb_normal(r.word[0], r.word[1]);
  }
  for (int64_t j = 0; j < vectors; j++) orthonormalize(v + j * length, v, j, length);
  for (int64_t j = 0; j < vectors; j++)
    for (int64_t i = 0; i < length; i++)
      out[wide ? j * columns + i : i * columns + j] = (float)v[j * length + i];
  free(v);
  return EBB_OK;
}
