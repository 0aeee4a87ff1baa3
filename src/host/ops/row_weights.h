/* Row weights of the losses: rows of weight 0 fill a batch up and count for nothing. */
#ifndef EBB_HOST_OPS_ROW_WEIGHTS_H
#define EBB_HOST_OPS_ROW_WEIGHTS_H

#include <math.h>

#include "ebb/fault.h"
#include "ebb/op.h"

static inline float ebb_row_weight(const float *weights, int64_t b) { return weights ? weights[b] : 1.0f; }

/* Input i of a loss, where it is given: weights of B rows. */
static inline EbbStatus ebb_setup_row_weights(EbbSetup *setup, int i, int64_t B, const float **weights) {
  *weights = NULL;
  if (ebb_setup_inputs(setup) <= i) return EBB_OK;
  EBB_TRY(ebb_setup_input(setup, i, EBB_F32, 1, true, weights));
  EbbShape shape = ebb_setup_shape(setup, i);
  if (shape.dim[0] == B) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "%s: %lld weights for a batch of %lld", ebb_setup_where(setup),
                  (long long)shape.dim[0], (long long)B);
}

/* The sum of the weights. */
static inline double ebb_row_weight_sum(const float *weights, int64_t B) {
  double sum = 0;
  for (int64_t b = 0; b < B; b++) sum += (double)ebb_row_weight(weights, b);
  return sum;
}

/* Errors: INVALID for a weight that is negative or not finite, or where no row has a weight. */
static inline EbbStatus ebb_row_weights_check(EbbFaultKind bad_weight, EbbFaultKind no_weight,
                                              const float *weights, int64_t B) {
  for (int64_t b = 0; b < B; b++) {
    double w = (double)ebb_row_weight(weights, b);
    if (!(w >= 0 && isfinite(w))) return ebb_fault_fail(bad_weight, (double)b, w, 0, 0);
  }
  if (ebb_row_weight_sum(weights, B) > 0) return EBB_OK;
  return ebb_fault_fail(no_weight, (double)B, 0, 0, 0);
}

#endif
