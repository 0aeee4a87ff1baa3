/* What follows every sequence mixing of an S4 layer: y = drop(act(x + D u)), x the mixed and u the masked
   input. act: identity or exact GELU. drop: kept with probability 1 - p and divided by it; tie: one draw per
   (b, h), element b H + h; otherwise one per value, its flat index (b H + h) L + t. Shared by s4_conv,
   s4_series and s4_scan. Source: Gu et al. 2022, "Efficiently Modeling Long Sequences with Structured State
   Spaces", class S4. */
#ifndef EBB_OPS_S4_EPILOGUE_H
#define EBB_OPS_S4_EPILOGUE_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/op.h"
#include "ebb/scalar.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbS4Activation { EBB_S4_IDENTITY, EBB_S4_GELU, EBB_S4_ACTIVATIONS } EbbS4Activation;

typedef struct EbbS4EpilogueConfig {
  bool skip; /* parameter D (1, H) ~ N(0, 1); false: no D u */
  EbbS4Activation activation;
  double dropout; /* 0 <= p < 1 */
  bool tie;
} EbbS4EpilogueConfig;

/* The part of an op's args that the epilogue reads. */
typedef struct EbbS4Epilogue {
  const float *D; /* (H), or NULL without skip */
  float *dD;      /* (H), added to; NULL: not wanted */
  float *pre;     /* (B, H, L) act's argument, forward to backward, stored as y is; NULL: not kept */
  EbbS4Activation activation;
  bool tie;
  float dropout;
  uint32_t node;
} EbbS4Epilogue;

/* Declares D and asks for `pre`; call it from the op's setup. Errors: INVALID (dropout or activation out of
   range), those of setup. */
EbbStatus ebb_s4_epilogue_setup(EbbSetup *setup, const EbbS4EpilogueConfig *config, EbbShape output,
                                EbbS4Epilogue *epilogue) EBB_MUST_CHECK;

EBB_INLINE float ebb_s4_activate(EbbS4Activation activation, float x) {
  return activation == EBB_S4_GELU ? ebb_gelu(x) : x;
}
EBB_INLINE float ebb_s4_activate_grad(EbbS4Activation activation, float x) {
  return activation == EBB_S4_GELU ? ebb_gelu_grad(x) : 1.0f;
}

/* valid steps of row b: lengths[b] cut to 0..L, or L without lengths. */
EBB_INLINE int64_t ebb_s4_valid(const int32_t *lengths, int64_t b, int64_t L) {
  int64_t valid = lengths ? lengths[b] : L;
  return valid < 0 ? 0 : valid < L ? valid : L;
}

#ifdef __cplusplus
}
#endif
#endif
