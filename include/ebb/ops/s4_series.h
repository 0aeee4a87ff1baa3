/* The exact causal liquid recurrence up to degree P: u (B, H, L), k (1, H, Lk), ke (H, Lk), [lengths (B)] ->
   y (B, H, L), v_1 = u,  s_q = ke * v_q,  v_{q+1}[t] = u_t s_q[t-1],  x = k * (v_1 + .. + v_P),  y =
   drop(act(x + D u)). It is the part of degree <= P in u of x_t = (A + b e^T u_t) x_{t-1} + b u_t read by C,
   where k_l = C A^l b and ke_l = e^T A^l b. u_t = 0 for t >= lengths[b]. Parameter D (1, H). Source: Hasani
   et al. 2022, "Liquid Structural State-Space Models", section 3, with the products of inputs kept as the
   recurrence makes them. */
#ifndef EBB_OPS_S4_SERIES_H
#define EBB_OPS_S4_SERIES_H

#include "ebb/complex.h"
#include "ebb/ops/s4_epilogue.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbS4SeriesConfig {
  int64_t degree; /* P, 1 to 64; 1 is the plain convolution */
  EbbS4EpilogueConfig epilogue;
} EbbS4SeriesConfig;

/* How a GPU shares the work: a block takes `slots` rows of one channel at a time, and goes through one of the
   channel's `groups` of rows. `blocks` work at once. */
typedef struct EbbS4SeriesLayout {
  int64_t slots, groups, blocks;
} EbbS4SeriesLayout;

/* A GPU's memory, scratch. Where one block transforms a row, it is listed here; rows that are too long go
   through cuFFT `channels` at a time and have the shapes in brackets, m = n/2 + 1. */
typedef struct EbbS4SeriesCuda {
  EbbS4SeriesLayout layout;
  EbbC32 *spectra;  /* (2, H, n) [(2, channels, m)] of k and ke */
  EbbC32 *streams;  /* (blocks, slots, degree, n) [(degree, channels, B, m)]: spectra of v_1 .. v_{P-1} and of
                       their sum with v_P */
  float *states;    /* (blocks, slots, degree - 1, n) [(degree - 1, channels, B, L)]: s_q */
  EbbC32 *sums;     /* (2, H, groups, slots, n) [(2, channels, m)]: of the spectra of dk and dke */
  double *dD_sums;  /* (H, groups) [none] */
  int64_t channels; /* 0: one block transforms a row */
  const struct EbbCudaFft *rows[2], *taps[2]; /* real to complex, and back */
  float *row, *total, *du, *padded_taps;      /* (channels, B, n), twice (channels, B, L), (2, channels, n) */
  EbbC32 *spectrum;                           /* (channels, B, m) */
} EbbS4SeriesCuda;

/* All pointers are disjoint device memory of the graph. `storage` is the type of u, y and their gradients. */
typedef struct EbbS4SeriesArgs {
  EbbDtype storage;
  const float *u;               /* (B, H, L), read again by backward */
  float *du;                    /* (B, H, L) or NULL */
  const float *k, *ke;          /* (1, H, Lk), (H, Lk), read again by backward; Lk <= L */
  float *dk, *dke;              /* as k and ke, or NULL */
  const int32_t *lengths;       /* (B) or NULL */
  bool add_du, add_dk, add_dke; /* add to what is there, else overwrite */
  float *y;                     /* (B, H, L) */
  const float *dy;              /* (B, H, L) */
  EbbS4Epilogue epilogue;
  int64_t B, H, L, Lk, degree;
  int64_t n;             /* transform length >= Lk + L; where one block of a GPU transforms a row >= L */
  const float *twiddles; /* its table; none for cuFFT */
  float *work;           /* CPU: (threads, work_floats) scratch */
  int64_t work_floats;
  EbbS4SeriesCuda cuda;
} EbbS4SeriesArgs;

#ifdef __cplusplus
}
#endif
#endif
