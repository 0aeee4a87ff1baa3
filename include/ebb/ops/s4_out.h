/* The output projection of an S4 layer with everything behind it: h (B, H, L) -> o = W h + bias at every (b,
   l), then GLU (a sigmoid(c) with a the first and c the second half of o; W is (2H, H)) or nothing (W is (H,
   H)), dropout, and the residual: y = residual + drop(postact(o)). tie: one dropout draw per (b, h), element
   b H + h; otherwise one per element, its flat index. Parameters output_linear.weight, output_linear.bias:
   U(-1/sqrt(H), 1/sqrt(H)). */
#ifndef EBB_OPS_S4_OUT_H
#define EBB_OPS_S4_OUT_H

#include "ebb/op.h"
#include "ebb/scalar.h"

typedef struct EbbS4OutConfig {
  bool glu;      /* false: no activation behind the projection */
  float dropout; /* 0 <= dropout < 1 */
  bool tie;
} EbbS4OutConfig;

/* All pointers are disjoint device memory of the graph. O = 2H with GLU, else H. */
typedef struct EbbS4OutArgs {
  const float *h;         /* (B, H, L), read again by backward */
  float *dh;              /* (B, H, L) or NULL */
  bool add_dh;            /* dh: add to what is there, else overwrite */
  const float *residual;  /* (B, H, L) or NULL */
  float *dresidual;       /* (B, H, L) or NULL */
  bool add_dresidual;     /* as add_dh */
  const float *weight;    /* (O, H) */
  const float *bias;      /* (O) */
  float *dweight, *dbias; /* as weight and bias, added to; NULL: not wanted */
  float *y;               /* (B, H, L) */
  const float *dy;        /* (B, H, L) */
  int64_t B, H, L, O;
  int64_t
      groups; /* sums for dweight are kept apart for this many parts of the batch; depends on shapes only */
  float *
      partial; /* (groups, O H + O) scratch of backward: sums for dweight and dbias; on a GPU (groups, O H) */
  float dropout;
  bool glu, tie;
  uint32_t node;
  EbbDtype storage; /* of everything of shape (B, H, L) or (B, O, L) */
  /* On the CPU. */
  float *gates; /* (B, tiles, 2H, tile) forward to backward: a above sigmoid(c); NULL: nothing to keep */
  float *work;  /* per thread (O, tile) and one row of tile, scratch */
  int64_t tile, tiles; /* columns a tile; tiles that cover L */
  /* On a GPU. */
  float *o;             /* (B, O, L) forward to backward: W h, without bias; y itself where there is no GLU */
  float *d_o;           /* (B, O, L) scratch of backward */
  float *bias_parts;    /* (B segments, O) scratch of backward: sums of d_o over parts of rows */
  void *rounded_weight; /* (O, H) bfloat16, forward to backward; NULL in float32 storage */
} EbbS4OutArgs;

/* Parts of a row that a block of the GPU takes. */
enum { EBB_S4_OUT_SEGMENT = 2048 };
EBB_INLINE int64_t ebb_s4_out_segments(int64_t L) {
  return (L + EBB_S4_OUT_SEGMENT - 1) / EBB_S4_OUT_SEGMENT;
}

EBB_INLINE float ebb_glu(float a, float gate) { return a * gate; }
/* Gradients of a sigmoid(c) with gate = sigmoid(c). */
EBB_INLINE float ebb_glu_da(float dy, float gate) { return dy * gate; }
EBB_INLINE float ebb_glu_dc(float dy, float a, float gate) { return dy * a * gate * (1.0f - gate); }

#endif
