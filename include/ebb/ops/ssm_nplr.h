/* Op ssm_nplr: the convolution kernel of a diagonal plus low-rank state-space model, by its generating
   function. k_l = C Abar^l Bbar for l < Lk, bilinear Abar and Bbar, where the parameter kernel.C is C~ = C (I
   - Abar^n): at the nodes z_j = i y_j, y_j = 2 tan(pi j / n), with lam = w dt and r_XY = dt sum_m [ v / (z -
   lam) + conj(v) / (z - conj(lam)) ], v = X_m Y_m, khat = (r_BC - r_BQ r_PC / (1 + r_PQ)) (1 + z / 2),  Q =
   conj(P),   k = irfft(khat, n). Source: Gu et al. 2022, arXiv 2111.00396, appendix C.3. */
#ifndef EBB_OPS_SSM_NPLR_H
#define EBB_OPS_SSM_NPLR_H

#include "ebb/ops/ssm.h"
#include "ebb/ops/ssm_cauchy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Nodes at which some pole is nearer than this, in units of w (|z - lam| < radius dt), are near: there the
   terms of khat cancel, by a factor in k and by its square in the gradient of w, and are taken in double.
   Spectra with Re w = -1/2 have no such nodes. */
#define EBB_NPLR_NEAR_RADIUS 0.25

/* What only the CPU has. */
typedef struct EbbSsmNplrCpu {
  const EbbFft *fft; /* length n */
  float *r;          /* saved (H,K,2,Fp): real and imaginary parts of r_XY; NULL without backward */
  char *scratch;     /* scratch_row bytes a thread */
  size_t scratch_row;
} EbbSsmNplrCpu;

/* What only CUDA has. Rows of spectra are S complex numbers apart: n / 2 + 1 padded to an even number. A
   block of forward takes EBB_NPLR_GROUP nodes, one of backward `chunk`, at most EBB_NPLR_CHUNK, `chunks`
   times. Time steps of the readout are taken EBB_NPLR_STEPS at a time. */
enum { EBB_NPLR_GROUP = 256, EBB_NPLR_CHUNK = 512, EBB_NPLR_STEPS = 32, EBB_NPLR_READOUT_SHARED = 64 * 1024 };
typedef struct EbbSsmNplrCuda {
  const struct EbbCudaFft *inverse, *forward; /* C H rows of length n; NULL for n = 1 */
  int64_t S, chunk, chunks;
  EbbC32 *spectrum; /* scratch (C,H,S): khat / n, in backward the transform of dk */
  float *rows;      /* scratch (C,H,n): kernels not cut to Lk; NULL where n = Lk */
  EbbC32 *factors;  /* saved (H,(1+C) rank,Fp): beta, then gamma of each kernel; NULL without backward */
  uint32_t *near;   /* saved (H,ebb_nplr_near_words): bit j % 32 of word j / 32 is set where node j is near */
  double *partial;  /* scratch (H,chunks,2K+2,M): sums over each chunk's nodes */
  EbbC64 *state;    /* scratch: ebb_nplr_readout_bytes a channel; NULL where shared memory has them */
  EbbC64 *kept;     /* scratch (H,blocks of STEPS,Mp): the readout's states where blocks begin, Mp modes */
  double *feedback; /* scratch (H,blocks of STEPS,rank,STEPS): s of all steps */
} EbbSsmNplrCuda;

/* Config: EbbSsmConfig. No inputs. Outputs k (C,H,Lk) and, with a readout, ke (H,Lk): (K_e)_l = e Abar^l
   Bbar, not truncated. Parameters and buffer kernel.L: ebb_ssm_spec, not diagonal. With rank 2
   there is an r for each of the columns of P and Q: r_BQ (I + r_PQ)^-1 r_PC. Products v, in this order, of
   kernels c and columns i, j: B C~_c, P_i C~_c (c fastest), B Q_j, P_i Q_j (j fastest): K = (1 + rank) (C +
   rank) products, on the CPU with one that is 0 behind 9. */
typedef struct EbbSsmNplrArgs {
  EbbSsmConfig config;
  int64_t M, Lk;
  int64_t n; /* nodes of the unit circle: internal length / rate */
  int64_t F,
      Fp; /* regular nodes j < F (all but the one at infinity, j = n / 2 of even n); Fp: F padded to 16 */
  const float *y;                                             /* (Fp) table, 0 in the padding */
  const float *C;                                             /* (C,H,M,2) */
  const float *log_dt;                                        /* (H) */
  const float *B, *P;                                         /* (1,n_ssm,M,2), (rank,n_ssm,M,2) */
  const float *inv_w_real, *w_imag;                           /* (n_ssm,M) */
  const float *e;                                             /* (H,M,2), NULL unless learned */
  float *dC, *dlog_dt, *dB, *dP, *dinv_w_real, *dw_imag, *de; /* as their values, or NULL; added to */
  float *k, *ke;                                              /* outputs; ke NULL without a readout */
  const float *dk, *dke;                                      /* their gradients, or NULL */
  double *shared; /* scratch (H,4+2 rank,M): gradients of w, B, P a channel, before the copies' sum */
  EbbSsmNplrCpu cpu;
  EbbSsmNplrCuda cuda;
} EbbSsmNplrArgs;

/* y of a regular node. */
EBB_INLINE double ebb_nplr_node(int64_t j, int64_t n) {
  return 2 * tan(3.14159265358979323846 * (double)j / (double)n);
}

/* How many products, and where they stand. */
EBB_INLINE int64_t ebb_nplr_products(int64_t rank, int64_t channels) {
  return (1 + rank) * (channels + rank);
}
EBB_INLINE int64_t ebb_nplr_pc(int64_t channels, int64_t i, int64_t c) { return (1 + i) * channels + c; }
EBB_INLINE int64_t ebb_nplr_bq(int64_t rank, int64_t channels) { return (1 + rank) * channels; }
EBB_INLINE int64_t ebb_nplr_pq(int64_t rank, int64_t channels) { return ebb_nplr_bq(rank, channels) + rank; }

EBB_INLINE int64_t ebb_nplr_near_words(int64_t F) {
  return (F + EBB_NPLR_GROUP - 1) / EBB_NPLR_GROUP * (EBB_NPLR_GROUP / 32);
}

/* Modes of the readout, padded to whole warps, and the bytes of a channel's vectors over them: a, x, e, r, q
   and, in backward, their gradients. */
EBB_INLINE int64_t ebb_nplr_readout_modes(int64_t M) { return (M + 31) / 32 * 32; }
EBB_INLINE int64_t ebb_nplr_readout_bytes(const EbbSsmNplrArgs *args, bool backward) {
  int64_t vectors = (3 + 2 * ebb_ssm_rank(&args->config)) * (backward ? 2 : 1);
  return vectors * ebb_nplr_readout_modes(args->M) * (int64_t)sizeof(EbbC64);
}

/* Doubles a mode in args->shared: the gradients of w, B and the columns of P. */
EBB_INLINE int64_t ebb_nplr_shares(int64_t rank) { return 4 + 2 * rank; }

#ifdef __cplusplus
}
#endif
#endif
