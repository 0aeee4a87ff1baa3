/* Elementwise activation: y = f(x) + offset, any shape. The functions are the rows of activations.def. */
#ifndef EBB_OPS_ACTIVATION_H
#define EBB_OPS_ACTIVATION_H

#include "ebb/cell_formulas.h"
#include "ebb/op.h"

typedef enum EbbActivation {
#define EBB_ACTIVATION(NAME, name) EBB_ACTIVATION_##NAME,
#include "ebb/ops/activations.def"
#undef EBB_ACTIVATION
  EBB_ACTIVATIONS
} EbbActivation;

typedef struct EbbActivationConfig {
  EbbActivation kind;
  float offset;
} EbbActivationConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbActivationArgs {
  const float *x;  /* (size), read again by backward */
  float *dx;       /* (size) or NULL */
  bool add_dx;     /* dx: add to what is there, else overwrite */
  float *y;        /* (size) */
  const float *dy; /* (size) */
  int64_t size;
  EbbActivation kind;
  float offset;
} EbbActivationArgs;

/* f(x) and df/dx of every row: those of recurrent cells where they have it. */
#define EBB_SHARED_FORMULA(name)                                                                             \
  EBB_INLINE float ebb_activation_##name(float x) { return ebb_cell_##name(&x); }                            \
  EBB_INLINE float ebb_activation_##name##_grad(float x) {                                                   \
    float slope;                                                                                             \
    ebb_cell_##name##_grad(&x, ebb_cell_##name(&x), 1, &slope);                                              \
    return slope;                                                                                            \
  }
EBB_SHARED_FORMULA(silu)
EBB_SHARED_FORMULA(tanh)
EBB_SHARED_FORMULA(sigmoid)
EBB_SHARED_FORMULA(relu)
EBB_SHARED_FORMULA(gelu)
EBB_SHARED_FORMULA(lecun_tanh)
#undef EBB_SHARED_FORMULA

/* log(1 + e^min(x, 20)), flat above 20. Source: the published Edifice layer. */
#define EBB_SOFTPLUS_CAP 20.0f
EBB_INLINE float ebb_activation_softplus(float x) {
  return ebb_softplusf(x > EBB_SOFTPLUS_CAP ? EBB_SOFTPLUS_CAP : x);
}
EBB_INLINE float ebb_activation_softplus_grad(float x) {
  return x > EBB_SOFTPLUS_CAP ? 0.0f : ebb_sigmoidf(x);
}

#endif
