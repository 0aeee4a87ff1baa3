/* Token embedding: tokens (B, L) int32 -> y (B, H, L), y[b, h, l] = weight[tokens[b, l], h]. Parameter weight
   (V, H), N(0, 1). The token 0 (padding) has a row like every other. */
#ifndef EBB_OPS_EMBEDDING_H
#define EBB_OPS_EMBEDDING_H

#include "ebb/op.h"
#include "ebb/scalar.h"

typedef struct EbbEmbeddingConfig {
  int64_t V, H;
} EbbEmbeddingConfig;

/* All pointers are disjoint device memory of the graph. Forward fails with INVALID, naming row and position,
   when a token is outside 0..V-1. */
typedef struct EbbEmbeddingArgs {
  const int32_t *tokens; /* (B, L) */
  const float *weight;   /* (V, H) */
  float *dweight;        /* (V, H), added to; NULL: not wanted */
  float *y;              /* (B, H, L) */
  const float *dy;       /* (B, H, L) */
  float *parts;          /* (splits, V, H) scratch of backward on a GPU; NULL where splits is 1 */
  int64_t B, H, L, V;
  int64_t splits;   /* on a GPU: runs of positions that dweight is summed over apart */
  EbbDtype storage; /* of y and dy */
} EbbEmbeddingArgs;

/* On a GPU a block adds up dy of a run of positions for some channels and some tokens, in tiles of
   EBB_EMBEDDING_TILE positions of a row by as many channels; EBB_EMBEDDING_WARPS warps share its run. */
enum {
  EBB_EMBEDDING_TILE = 32,
  EBB_EMBEDDING_TOKENS = 256,
  EBB_EMBEDDING_WARPS = 2,
  EBB_EMBEDDING_BLOCKS = 640 /* about what is resident at a time */
};
EBB_INLINE int64_t ebb_embedding_tiles(int64_t size) {
  return (size + EBB_EMBEDDING_TILE - 1) / EBB_EMBEDDING_TILE;
}
EBB_INLINE int64_t ebb_embedding_ranges(int64_t V) {
  return (V + EBB_EMBEDDING_TOKENS - 1) / EBB_EMBEDDING_TOKENS;
}
EBB_INLINE int64_t ebb_embedding_splits(int64_t B, int64_t H, int64_t L, int64_t V) {
  const int64_t wanted = EBB_EMBEDDING_BLOCKS / (ebb_embedding_tiles(H) * ebb_embedding_ranges(V));
  const int64_t most = (B * ebb_embedding_tiles(L) + EBB_EMBEDDING_WARPS - 1) / EBB_EMBEDDING_WARPS;
  return wanted < 1 ? 1 : wanted < most ? wanted : most;
}

#endif
