/* Cross-entropy of class scores: logits (..., V), labels (...) int32 [, weights (...)] -> loss () = sum_b w_b
   c[label_b] (logsumexp of row b - logit of its label) / sum_b w_b, and scores (EBB_SCORE_SUMS), which have
   no gradient; a row's prediction is its largest logit, the first of equals. Leading dimensions are rows: (B,
   V) gives a label a sample, (B, L, V) one a step. Class weights c belong to the loss alone and are 1 unless
   given. Rows of weight 0 fill a batch up and are not looked at. */
#ifndef EBB_OPS_CROSS_ENTROPY_H
#define EBB_OPS_CROSS_ENTROPY_H

#include "ebb/op.h"
#include "ebb/ops/scores.h"
#include "ebb/scalar.h"

enum { EBB_MOST_CLASS_WEIGHTS = 16 };

/* May be NULL where an op is applied: no class weights. */
typedef struct EbbCrossEntropyConfig {
  int n_class_weights; /* 0, or V */
  float class_weight[EBB_MOST_CLASS_WEIGHTS];
} EbbCrossEntropyConfig;

/* All pointers are disjoint device memory of the graph. Forward fails with INVALID, naming row and value,
   where a label is outside 0..V-1, a weight is negative or not finite, or all weights are 0. */
typedef struct EbbCrossEntropyArgs {
  const float *logits;   /* (B, V), read again by backward */
  float *dlogits;        /* (B, V) or NULL */
  bool add_dlogits;      /* dlogits: add to what is there, else overwrite */
  const int32_t *labels; /* (B) */
  const float *weights;  /* (B) or NULL: all 1 */
  float *loss;           /* () */
  float *scores;         /* (EBB_SCORE_SUMS) */
  const float *dloss;    /* () */
  double *rows;          /* (B, 2) scratch of forward: loss and predicted class of a row */
  float *lse;            /* (B) forward to backward: logsumexp of a row */
  double *weight_sum;    /* () forward to backward */
  int64_t B, V;          /* B rows in all */
  EbbCrossEntropyConfig config;
} EbbCrossEntropyArgs;

/* What the loss of a row with this label is multiplied by, beside the row's weight. */
EBB_INLINE float ebb_class_weight(const EbbCrossEntropyConfig *config, int64_t label) {
  return config->n_class_weights ? config->class_weight[label] : 1.0f;
}

/* What softmax gives a class whose row has this logsumexp. */
EBB_INLINE float ebb_class_probability(float logit, float lse) { return ebb_expf(logit - lse); }

#endif
