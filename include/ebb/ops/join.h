/* Features side by side: a (B, T, A), b (B, T, C) -> y (B, T, A + C); no config. */
#ifndef EBB_OPS_JOIN_H
#define EBB_OPS_JOIN_H

#include "ebb/op.h"

/* All pointers are disjoint device memory of the graph; rows = B T. */
typedef struct EbbJoinArgs {
  const float *from[2]; /* (rows, width[i]) */
  float *dfrom[2];      /* (rows, width[i]) or NULL */
  bool add_dfrom[2];    /* dfrom: add to what is there, else overwrite */
  float *y;             /* (rows, width[0] + width[1]) */
  const float *dy;      /* the same */
  int64_t rows, width[2];
} EbbJoinArgs;

#endif
