/* Linear layer on the last dimension: x (..., I) -> y (..., O) = x weight^T + bias. Parameters weight (O, I),
   bias (O): U(-1/sqrt(I), 1/sqrt(I)). With inputs_first weight is stored (I, O) and y = x weight + bias. */
#ifndef EBB_OPS_LINEAR_H
#define EBB_OPS_LINEAR_H

#include "ebb/op.h"
#include "ebb/scalar.h"

typedef struct EbbLinearConfig {
  int64_t O;
  bool inputs_first;         /* weight (I, O) */
  bool glorot;               /* weight U(+-sqrt(6/(I+O))), bias 0: Glorot's rule, as Axon's Dense has it */
  const char *weight, *bias; /* names; NULL: "weight", "bias". Lifetime: the graph's */
} EbbLinearConfig;

/* All pointers are disjoint device memory of the graph. R is the product of the leading dimensions. */
typedef struct EbbLinearArgs {
  const float *x;         /* (R, I), read again by backward */
  float *dx;              /* (R, I) or NULL */
  bool add_dx;            /* dx: add to what is there, else overwrite */
  const float *weight;    /* (O, I), or (I, O) with inputs_first */
  const float *bias;      /* (O) */
  float *dweight, *dbias; /* as weight and bias, added to; NULL: not wanted */
  float *y;               /* (R, O) */
  const float *dy;        /* (R, O) */
  int64_t R, I, O;
  bool inputs_first;
} EbbLinearArgs;

/* Where the weight from input i to output o stands. */
EBB_INLINE int64_t ebb_linear_at(const EbbLinearArgs *a, int64_t o, int64_t i) {
  return a->inputs_first ? i * a->O + o : o * a->I + i;
}

#endif
