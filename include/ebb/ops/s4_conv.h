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

/* What the KB term needs on CUDA, all scratch: n = Lk + L, m = n/2 + 1, `channels` at a time. */
typedef struct EbbS4ConvKb {
  int64_t channels;
  const struct EbbCudaFft *rows_ffts[2],
      *taps_fft;            /* (channels, B) rows of n there and back; (channels, m) */
  float *mixed;             /* (B, H, L) the mix of the streams; its gradient */
  float *row;               /* (channels, B, n) */
  EbbC32 *spectrum, *kept;  /* (channels, B, m); kept only for backward */
  EbbC32 *taps, *taps_grad; /* (channels, m), (H, m) */
} EbbS4ConvKb;

/* What the CUDA kernels use beside the args. Transforms have n points as src/kernels/fft.cuh has them; n
   longer than a block takes is cuFFT's. Scratch unless it says otherwise. */
typedef struct EbbS4ConvCuda {
  bool block;      /* one block transforms a row; false: cuFFT */
  int64_t groups;  /* backward: runs of rows that have sums of their own */
  EbbC32 *spectra; /* (H, n) of the kernels and D, divided by n; cuFFT: (chunk, n) */
  float *weights;  /* (H, degree - 1, 2) of the liquid streams: flipped and straight */
  EbbC32 *sums;    /* (groups, H, n) spectra of dk; cuFFT: (chunk, n) */
  double *sums_D;  /* (groups, H) */
  EbbC32 *held;    /* (holders, n) spectra of u where registers lack, or NULL */
  int64_t holders;
  float *x, *extra; /* (B, H, L) for what stands between convolution and activation: forward x, backward its
                       gradient and what u gets beside the convolution; NULL where one kernel does it all */
  float *streams;   /* (ebb_s4_shift_rows, B, H, L) streams of the liquid term by shifts */
  int64_t chunk;    /* cuFFT: channels at a time */
  EbbC32 *inputs, *grads;                       /* cuFFT: (B, chunk, n) */
  const struct EbbCudaFft *rows_fft, *taps_fft; /* their plans, and those of (chunk, n) */
  EbbS4ConvKb kb;
} EbbS4ConvCuda;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbS4ConvArgs {
  EbbDtype storage;       /* of u, y, epilogue.pre and of the gradients of u and y */
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
  int64_t n;             /* transform length: at least Lk + L on the CPU, L on CUDA */
  const float *twiddles; /* its table */
  float *work;           /* CPU: (threads, work_floats) scratch, 64-byte aligned rows */
  int64_t work_floats;
  EbbS4ConvCuda cuda;
} EbbS4ConvArgs;

#ifdef __cplusplus
}
#endif
#endif
