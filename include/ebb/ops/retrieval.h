/* Features of a pair for the retrieval head: x (2B, H), row r the first and row B + r the second document of
   pair r -> y (B, 4H) = [a, b, a - b, a b]. */
#ifndef EBB_OPS_RETRIEVAL_H
#define EBB_OPS_RETRIEVAL_H

#include "ebb/op.h"
#include "ebb/scalar.h"

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbRetrievalArgs {
  const float *x;  /* (2B, H), read again by backward */
  float *dx;       /* (2B, H) or NULL */
  bool add_dx;     /* dx: add to what is there, else overwrite */
  float *y;        /* (B, 4H) */
  const float *dy; /* (B, 4H) */
  int64_t B, H;
} EbbRetrievalArgs;

/* Gradients of the two documents' features from those of a (or b), a - b and a b. */
EBB_INLINE float ebb_retrieval_dfirst(float da, float difference, float product, float second) {
  return da + difference + product * second;
}
EBB_INLINE float ebb_retrieval_dsecond(float db, float difference, float product, float first) {
  return db - difference + product * first;
}

#endif
