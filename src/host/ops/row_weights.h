/* The rows of a loss, whatever their dimensions, and their weights: rows of weight 0 fill a batch up and
   count for nothing. */
#ifndef EBB_HOST_OPS_ROW_WEIGHTS_H
#define EBB_HOST_OPS_ROW_WEIGHTS_H

#include <math.h>

#include "ebb/fault.h"
#include "ebb/op.h"

static inline float ebb_row_weight(const float *weights, int64_t b) { return weights ? weights[b] : 1.0f; }

/* Takes the last dimension, the width of a row, from the shape of input 0. Errors: SHAPE for a scalar. */
static inline EbbStatus ebb_setup_rows(EbbSetup *setup, EbbShape *rows, int64_t *n_rows, int64_t *width) {
  *rows = ebb_setup_shape(setup, 0);
  if (rows->rank < 2)
    return ebb_fail(EBB_SHAPE, "%s: a prediction needs a dimension of rows and one of outputs",
                    ebb_setup_where(setup));
  *width = rows->dim[--rows->rank];
  rows->dim[rows->rank] = 0;
  *n_rows = ebb_shape_size(rows);
  return EBB_OK;
}

/* Input i must have one value a row. Errors: SHAPE. */
static inline EbbStatus ebb_setup_row_input(EbbSetup *setup, int i, EbbDtype type, const char *what,
                                            const EbbShape *rows, void *value) {
  EBB_TRY(ebb_setup_input(setup, i, type, -1, true, value));
  const EbbShape shape = ebb_setup_shape(setup, i);
  if (ebb_shape_equal(&shape, rows)) return EBB_OK;
  char text[2][160];
  return ebb_fail(EBB_SHAPE, "%s: the %s are %s, but the prediction's rows are %s", ebb_setup_where(setup),
                  what, ebb_shape_text(&shape, text[0], sizeof text[0]),
                  ebb_shape_text(rows, text[1], sizeof text[1]));
}

/* Input i of a loss, where it is given: weights of the rows. */
static inline EbbStatus ebb_setup_row_weights(EbbSetup *setup, int i, const EbbShape *rows,
                                              const float **weights) {
  *weights = NULL;
  if (ebb_setup_inputs(setup) <= i) return EBB_OK;
  return ebb_setup_row_input(setup, i, EBB_F32, "weights", rows, weights);
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
