/* Cross-entropy of class scores: logits (B, V), labels (B) int32 [, weights (B)] -> loss () = sum_b w_b
   (logsumexp of row b - logit of its label) / sum_b w_b, and correct () = sum of w_b over the rows whose
   largest logit (the first of equals) is the label's; it has no gradient. Rows of weight 0 fill a batch up
   and are not looked at. */
#ifndef EBB_OPS_CROSS_ENTROPY_H
#define EBB_OPS_CROSS_ENTROPY_H

#include "ebb/op.h"
#include "ebb/scalar.h"

/* All pointers are disjoint device memory of the graph. Forward fails with INVALID, naming row and value,
   where a label is outside 0..V-1, a weight is negative or not finite, or all weights are 0. */
typedef struct EbbCrossEntropyArgs {
  const float *logits;   /* (B, V), read again by backward */
  float *dlogits;        /* (B, V) or NULL */
  bool add_dlogits;      /* dlogits: add to what is there, else overwrite */
  const int32_t *labels; /* (B) */
  const float *weights;  /* (B) or NULL: all 1 */
  float *loss;           /* () */
  float *correct;        /* () */
  const float *dloss;    /* () */
  double *rows;          /* (B, 2) scratch of forward: loss and hit of a row */
  float *lse;            /* (B) forward to backward: logsumexp of a row */
  double *weight_sum;    /* () forward to backward */
  int64_t B, V;
} EbbCrossEntropyArgs;

/* What softmax gives a class whose row has this logsumexp. */
EBB_INLINE float ebb_class_probability(float logit, float lse) { return ebb_expf(logit - lse); }

#endif
