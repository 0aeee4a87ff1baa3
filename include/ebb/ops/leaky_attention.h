/* Leaky-integration attention: q, k, v (B, T, D), [lengths (B)] -> y (B, T, D), weights (B, heads, T, T). In
   each of `heads` slices of D / heads channels, with c = 1 - 1/tau and the keys j that query i may see (j <
   lengths[b], and j <= i where causal), p_ij = softmax_j(c^2 q_i k_j / sqrt(D)), 0 for the others,   s_ij =
   sigmoid(p_ij),   y_i = sum_j w_ij v_j. Published: w = s, so that a key that may not be seen still has
   weight 1/2 (a causal mask leaks) and rows sum to more than T/2; for comparison with published numbers only.
   Otherwise w_ij = s_ij / (sum of s_i over the keys that may be seen), and 0 for the others. tau = 0.5 gives
   c = -1, which changes no score; tau = 1 makes all scores 0. Source: kyegomez/Liquid, LeakyAttention.py,
   repaired; the masked weights are derived. */
#ifndef EBB_OPS_LEAKY_ATTENTION_H
#define EBB_OPS_LEAKY_ATTENTION_H

#include "ebb/op.h"
#include "ebb/scalar.h"

typedef struct EbbLeakyAttentionConfig {
  int64_t heads; /* divides D */
  double tau;    /* not 0 */
  bool causal, published;
} EbbLeakyAttentionConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbLeakyAttentionArgs {
  const float *q, *k, *v;      /* (B, T, D) each, read again by backward */
  const int32_t *lengths;      /* (B) in 1..T, or NULL */
  float *dq, *dk, *dv;         /* (B, T, D) or NULL */
  bool add_dq, add_dk, add_dv; /* add to what is there, else overwrite */
  float *p;                    /* (B, heads, T, T), forward to backward */
  float *weights;              /* (B, heads, T, T), read again by backward */
  float *y;                    /* (B, T, D) */
  const float *dy;             /* (B, T, D) */
  float *ds; /* scratch of backward: gradients of the scores; CUDA (B, heads, T, T), CPU (threads, T, T) */
  int64_t B, T, D, heads;
  float scale; /* c^2 / sqrt(D) */
  bool causal, published;
} EbbLeakyAttentionArgs;

/* Keys that query i of row b may see: 0 .. the result - 1. */
EBB_INLINE int64_t ebb_leaky_keys(const EbbLeakyAttentionArgs *args, int64_t b, int64_t i) {
  const int64_t length = args->lengths ? args->lengths[b] : args->T;
  return args->causal && i + 1 < length ? i + 1 : length;
}

/* dL/dp from dL/ds, s = sigmoid(p). */
EBB_INLINE float ebb_leaky_dp(float ds, float p) {
  const float s = ebb_sigmoidf(p);
  return ds * s * (1.0f - s);
}

#endif
