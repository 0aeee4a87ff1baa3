/* Dropout: an element is kept iff its uniform draw is >= p, and what is kept is scaled by 1 / (1 - p). Draws
   come from Philox at (seed, step, node, element), so backward makes the same ones again. */
#ifndef EBB_OPS_DROPOUT_H
#define EBB_OPS_DROPOUT_H

#include "ebb/rng.h"

/* 0 <= p < 1. */
EBB_INLINE float ebb_dropout_scale(float p) { return 1.0f / (1.0f - p); }

/* What an element with this random word is multiplied by. */
EBB_INLINE float ebb_dropout_factor(uint32_t word, float p) {
  return ebb_unit_float(word) >= p ? ebb_dropout_scale(p) : 0.0f;
}

#endif
