/* The gate product of SwiGLU: gate, value (any shape, the same) -> y = silu(gate) value; no config. Source:
   Shazeer 2020, "GLU variants improve transformer". */
#ifndef EBB_OPS_SWIGLU_H
#define EBB_OPS_SWIGLU_H

#include "ebb/op.h"
#include "ebb/ops/activation.h"

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbSwigluArgs {
  const float *gate, *value;  /* (size) each, read again by backward */
  float *dgate, *dvalue;      /* (size) or NULL */
  bool add_dgate, add_dvalue; /* add to what is there, else overwrite */
  float *y;                   /* (size) */
  const float *dy;            /* (size) */
  int64_t size;
} EbbSwigluArgs;

EBB_INLINE float ebb_swiglu(float gate, float value) { return ebb_activation_silu(gate) * value; }

#endif
