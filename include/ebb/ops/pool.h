/* From a sequence to one vector: x (B, H, L) [, lengths (B) int32] -> y (B, H), the mean over the first len
   steps or the step len - 1; len is L where no lengths are given. */
#ifndef EBB_OPS_POOL_H
#define EBB_OPS_POOL_H

#include "ebb/op.h"
#include "ebb/scalar.h"

typedef enum EbbPoolKind { EBB_POOL_MEAN, EBB_POOL_LAST } EbbPoolKind;

typedef struct EbbPoolConfig {
  EbbPoolKind kind;
} EbbPoolConfig;

/* All pointers are disjoint device memory of the graph. Forward fails with INVALID, naming the row, when a
   length is outside 1..L. */
typedef struct EbbPoolArgs {
  const float *x;         /* (B, H, L) */
  float *dx;              /* (B, H, L) or NULL */
  bool add_dx;            /* dx: add to what is there, else overwrite */
  const int32_t *lengths; /* (B) or NULL */
  float *y;               /* (B, H) */
  const float *dy;        /* (B, H) */
  int64_t B, H, L;
  EbbPoolKind kind;
  EbbDtype storage; /* of x and dx */
} EbbPoolArgs;

/* The steps from..end-1 that a row's output is the mean of. */
typedef struct EbbPoolSpan {
  int64_t from, end;
} EbbPoolSpan;

EBB_INLINE EbbPoolSpan ebb_pool_span(EbbPoolKind kind, int64_t length) {
  EbbPoolSpan span = {kind == EBB_POOL_LAST ? length - 1 : 0, length};
  return span;
}

#endif
