/* Inputs that ops over sequences (B, T, ...) share. */
#ifndef EBB_HOST_OPS_SEQUENCE_H
#define EBB_HOST_OPS_SEQUENCE_H

#include "ebb/op.h"

/* Input i: lengths (B), int32. */
static inline EbbStatus ebb_setup_lengths(EbbSetup *setup, int i, int64_t B, const int32_t **lengths) {
  EBB_TRY(ebb_setup_input(setup, i, EBB_I32, 1, true, lengths));
  const EbbShape shape = ebb_setup_shape(setup, i);
  if (shape.dim[0] == B) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "%s: %lld lengths for a batch of %lld", ebb_setup_where(setup),
                  (long long)shape.dim[0], (long long)B);
}

/* That input i has this shape; `what` names it in the sentence. */
static inline EbbStatus ebb_setup_require_shape(EbbSetup *setup, int i, EbbShape needed, const char *what) {
  char is[96], should[96];
  const EbbShape shape = ebb_setup_shape(setup, i);
  if (ebb_shape_equal(&shape, &needed)) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "%s: %s is %s, where %s is needed", ebb_setup_where(setup), what,
                  ebb_shape_text(&shape, is, sizeof is), ebb_shape_text(&needed, should, sizeof should));
}

#endif
