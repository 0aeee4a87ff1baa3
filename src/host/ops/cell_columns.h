/* The columns of a step among those of its chunk: units rows of R floats beside each other, and rows of R
   floats that are `stride` apart. */
#ifndef EBB_HOST_OPS_CELL_COLUMNS_H
#define EBB_HOST_OPS_CELL_COLUMNS_H

#include <string.h>

#include "ebb/scalar.h"
#include "host/lanes.h"

typedef struct EbbCellColumns {
  float *chunk, *step;
  int64_t units, stride;
} EbbCellColumns;

/* R is a constant where these are expanded. */
EBB_INLINE void ebb_cell_take_rows(const EbbCellColumns *c, int64_t R) {
  for (int64_t u = 0; u < c->units; u++)
    memcpy(c->step + u * R, c->chunk + u * c->stride, sizeof(float) * (size_t)R);
}
EBB_INLINE void ebb_cell_give_rows(const EbbCellColumns *c, int64_t R) {
  float *restrict chunk = c->chunk, *restrict step = c->step;
  for (int64_t u = 0; u < c->units; u++)
    for (int64_t r = 0; r < R; r++) {
      chunk[u * c->stride + r] += step[u * R + r];
      step[u * R + r] = 0;
    }
}

#define EBB_BY_SAMPLES(rows, c, R)                                                                           \
  switch (R) {                                                                                               \
  case 1:                                                                                                    \
    rows(c, 1);                                                                                              \
    break;                                                                                                   \
  case 2:                                                                                                    \
    rows(c, 2);                                                                                              \
    break;                                                                                                   \
  case 4:                                                                                                    \
    rows(c, 4);                                                                                              \
    break;                                                                                                   \
  case 8:                                                                                                    \
    rows(c, 8);                                                                                              \
    break;                                                                                                   \
  default:                                                                                                   \
    rows(c, EBB_LANES);                                                                                      \
  }

/* Copies the chunk's to the step. */
EBB_INLINE void ebb_cell_take_columns(const EbbCellColumns *c, int64_t R){
    EBB_BY_SAMPLES(ebb_cell_take_rows, c, R)} /* Adds the step's to the chunk and clears them. */
EBB_INLINE void ebb_cell_give_columns(const EbbCellColumns *c, int64_t R) {
  EBB_BY_SAMPLES(ebb_cell_give_rows, c, R)
}
#undef EBB_BY_SAMPLES

#endif
