/* Linear encoder into channel-first layout: x (B, L, I) -> y (B, H, L), y[b, h, l] = bias[h] + sum_i
   weight[h, i] x[b, l, i]. Parameters weight (H, I), bias (H): U(-1/sqrt(I), 1/sqrt(I)). */
#ifndef EBB_OPS_ENCODE_LINEAR_H
#define EBB_OPS_ENCODE_LINEAR_H

#include "ebb/op.h"
#include "ebb/scalar.h"

typedef struct EbbEncodeLinearConfig {
  int64_t I, H;
} EbbEncodeLinearConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbEncodeLinearArgs {
  const float *x;      /* (B, L, I) */
  float *dx;           /* (B, L, I) or NULL */
  bool add_dx;         /* dx: add to what is there, else overwrite */
  const float *weight; /* (H, I) */
  const float *bias;   /* (H) */
  float *dweight;      /* (H, I), added to; NULL: not wanted */
  float *dbias;        /* (H), added to; NULL: not wanted */
  float *y;            /* (B, H, L) */
  const float *dy;     /* (B, H, L) */
  float *parts;        /* (groups, H I), then (groups, H): scratch of backward on a GPU */
  int64_t B, L, I, H;
  int64_t groups;   /* on a GPU: runs of positions that dweight and dbias are summed over apart */
  EbbDtype storage; /* of y and dy */
} EbbEncodeLinearArgs;

/* On a GPU a block of the weight gradient takes 32 channels and a run of tiles of 128 positions of a row. */
enum {
  EBB_ENCODE_CHANNELS = 32,
  EBB_ENCODE_TILE = 128,
  EBB_ENCODE_BLOCKS = 1024,
  EBB_ENCODE_PART_FLOATS = 4 * 1024 * 1024 /* what all parts may take, where there is more than one */
};
EBB_INLINE int64_t ebb_encode_tiles(int64_t L) { return (L + EBB_ENCODE_TILE - 1) / EBB_ENCODE_TILE; }
EBB_INLINE int64_t ebb_encode_groups(int64_t B, int64_t L, int64_t I, int64_t H) {
  const int64_t channel_blocks = (H + EBB_ENCODE_CHANNELS - 1) / EBB_ENCODE_CHANNELS;
  const int64_t tiles = B * ebb_encode_tiles(L), room = EBB_ENCODE_PART_FLOATS / (H * (I + 1));
  int64_t groups = EBB_ENCODE_BLOCKS / channel_blocks;
  if (groups > tiles) groups = tiles;
  if (groups > room) groups = room;
  return groups < 1 ? 1 : groups;
}

#endif
