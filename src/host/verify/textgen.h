/* One case of LTC-TextGen, shared by its files. */
#ifndef EBB_HOST_VERIFY_TEXTGEN_H
#define EBB_HOST_VERIFY_TEXTGEN_H

#include "host/verify/case_cell.h"

typedef struct Textgen {
  EbbCell *cell;
  EbbGraph *graph;
  EbbValue tokens, targets, states, logits, loss;
  const EbbStoredTensor *in_tokens, *in_targets; /* (B, T) */
  int64_t V, H;
} Textgen;

/* Runs the case in float64, also with parameters rounded to float32. Where that rounding alone moves the
   states by more than the tolerance, *float32 is false and the case has been compared in float64. */
EbbStatus verify_textgen_reference(Case *c, const Textgen *t, bool *float32);

#endif
