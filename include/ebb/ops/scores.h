/* What the loss ops count beside the loss: sums over the rows, each times its weight. cross_entropy counts
   hits, and how class 1 fares against all others; mse sums absolute errors and leaves the rest 0. */
#ifndef EBB_OPS_SCORES_H
#define EBB_OPS_SCORES_H

#include <stdint.h>

#include "ebb/scalar.h"

enum {
  EBB_SCORE_CORRECT,
  EBB_SCORE_TRUE_POSITIVE,
  EBB_SCORE_FALSE_POSITIVE,
  EBB_SCORE_FALSE_NEGATIVE,
  EBB_SCORE_SUMS,
  EBB_SCORE_ABSOLUTE = EBB_SCORE_CORRECT /* of mse: mean over the outputs of |prediction - target| */
};

/* The share of a row of weight 1 in sum `which`. */
EBB_INLINE double ebb_class_score(int which, int32_t predicted, int32_t label) {
  switch (which) {
  case EBB_SCORE_CORRECT:
    return predicted == label;
  case EBB_SCORE_TRUE_POSITIVE:
    return predicted == 1 && label == 1;
  case EBB_SCORE_FALSE_POSITIVE:
    return predicted == 1 && label != 1;
  default:
    return predicted != 1 && label == 1;
  }
}

#endif
