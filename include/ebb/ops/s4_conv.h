/* The sequence mixing of an S4 layer: u (B, H, L), k (C, H, Lk), [lengths (B)] -> y (B, H, L),
     x_t = sum_j k_0[j] u_{t-j} (+ sum_j k_1[j] u_{t+1+j} if bidirectional, C = 2),  y = drop(act(x + liquid +
   D u)), with u_t = 0 for t >= lengths[b] throughout. Parameter D (1, H); buffers liquid.* with a liquid
   term. Source: Gu et al. 2022, "Efficiently Modeling Long Sequences with Structured State Spaces". */
#ifndef EBB_OPS_S4_CONV_H
#define EBB_OPS_S4_CONV_H

#include "ebb/ops/s4_epilogue.h"
#include "ebb/ops/s4_liquid.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbS4ConvConfig {
  bool bidirectional;
  EbbS4EpilogueConfig epilogue;
  EbbS4LiquidConfig liquid;
} EbbS4ConvConfig;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbS4ConvArgs {
  const float *u;         /* (B, H, L), read again by backward */
  float *du;              /* (B, H, L) or NULL */
  const float *k;         /* (C, H, Lk), read again by backward; Lk <= L */
  float *dk;              /* (C, H, Lk) or NULL */
  const int32_t *lengths; /* (B) or NULL */
  bool add_du, add_dk;    /* add to what is there, else overwrite */
  float *y;               /* (B, H, L) */
  const float *dy;        /* (B, H, L) */
  EbbS4Epilogue epilogue;
  EbbS4Liquid liquid;
  int64_t B, H, L, Lk;
  bool bidirectional;
  int64_t n;             /* transform length >= Lk + L */
  const float *twiddles; /* its table */
  float *work;           /* (threads, work_floats) scratch, 64-byte aligned rows */
  int64_t work_floats;
} EbbS4ConvArgs;

#ifdef __cplusplus
}
#endif
#endif
