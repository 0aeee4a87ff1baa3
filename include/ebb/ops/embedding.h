/* Token embedding: tokens (B, L) int32 -> y (B, H, L), y[b, h, l] = weight[tokens[b, l], h]. Parameter weight
   (V, H), N(0, 1). The token 0 (padding) has a row like every other. */
#ifndef EBB_OPS_EMBEDDING_H
#define EBB_OPS_EMBEDDING_H

#include "ebb/op.h"

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
  int64_t B, H, L, V;
} EbbEmbeddingArgs;

#endif
