/* Elementwise activation: y = f(x) + offset, any shape. The functions are the rows of activations.def. */
#ifndef EBB_OPS_ACTIVATION_H
#define EBB_OPS_ACTIVATION_H

#include "ebb/op.h"
#include "ebb/scalar.h"

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

/* f(x) and df/dx of every row. */
EBB_INLINE float ebb_activation_silu(float x) { return x * ebb_sigmoidf(x); }
EBB_INLINE float ebb_activation_silu_grad(float x) {
  const float s = ebb_sigmoidf(x);
  return s * (1.0f + x * (1.0f - s));
}

/* log(1 + u) for 0 <= u <= 1, relative error below 2e-7: 2 artanh(u / (2 + u)) as a series. */
EBB_INLINE float ebb_log1p_unit(float u) {
#if defined(__CUDA_ARCH__)
  return log1pf(u);
#else
  const float s = u / (2.0f + u), s2 = s * s;
  float p = 1.0f / 15;
  p = p * s2 + 1.0f / 13;
  p = p * s2 + 1.0f / 11;
  p = p * s2 + 1.0f / 9;
  p = p * s2 + 1.0f / 7;
  p = p * s2 + 1.0f / 5;
  p = p * s2 + 1.0f / 3;
  p = p * s2 + 1.0f;
  return 2.0f * s * p;
#endif
}

/* log(1 + e^min(x, 20)), flat above 20. Source: the published Edifice layer. */
#define EBB_SOFTPLUS_CAP 20.0f
EBB_INLINE float ebb_activation_softplus(float x) {
  const float capped = x > EBB_SOFTPLUS_CAP ? EBB_SOFTPLUS_CAP : x;
  return (capped > 0.0f ? capped : 0.0f) + ebb_log1p_unit(ebb_expf(-fabsf(capped)));
}
EBB_INLINE float ebb_activation_softplus_grad(float x) {
  return x > EBB_SOFTPLUS_CAP ? 0.0f : ebb_sigmoidf(x);
}

EBB_INLINE float ebb_activation_tanh(float x) { return ebb_tanhf(x); }
EBB_INLINE float ebb_activation_tanh_grad(float x) {
  const float y = ebb_tanhf(x);
  return 1.0f - y * y;
}

EBB_INLINE float ebb_activation_sigmoid(float x) { return ebb_sigmoidf(x); }
EBB_INLINE float ebb_activation_sigmoid_grad(float x) {
  const float y = ebb_sigmoidf(x);
  return y * (1.0f - y);
}

EBB_INLINE float ebb_activation_relu(float x) { return x > 0.0f ? x : 0.0f * x; } /* NaN stays NaN */
EBB_INLINE float ebb_activation_relu_grad(float x) { return x > 0.0f ? 1.0f : 0.0f; }

EBB_INLINE float ebb_activation_gelu(float x) { return ebb_gelu(x); }
EBB_INLINE float ebb_activation_gelu_grad(float x) { return ebb_gelu_grad(x); }

/* 1.7159 tanh(0.666 x). Source: LeCun et al. 1998, "Efficient BackProp", as CfC has it. */
EBB_INLINE float ebb_activation_lecun_tanh(float x) { return 1.7159f * ebb_tanhf(0.666f * x); }
EBB_INLINE float ebb_activation_lecun_tanh_grad(float x) {
  const float y = ebb_tanhf(0.666f * x);
  return 1.7159f * 0.666f * (1.0f - y * y);
}

#endif
