/* Op ssm_nplr: the convolution kernel of a diagonal plus low-rank state-space model, by its generating
   function. k_l = C Abar^l Bbar for l < Lk, bilinear Abar and Bbar, where the parameter kernel.C is C~ = C (I
   - Abar^n): at the nodes z_j = i y_j, y_j = 2 tan(pi j / n), with lam = w dt and r_XY = dt sum_m [ v / (z -
   lam) + conj(v) / (z - conj(lam)) ], v = X_m Y_m, khat = (r_BC - r_BQ r_PC / (1 + r_PQ)) (1 + z / 2),  Q =
   conj(P),   k = irfft(khat, n). Source: Gu et al. 2022, arXiv 2111.00396, appendix C.3. */
#ifndef EBB_OPS_SSM_NPLR_H
#define EBB_OPS_SSM_NPLR_H

#include <float.h>

#include "ebb/ops/ssm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Nodes at which some pole is nearer than this, in units of w (|z - lam| < radius dt), are near: there the
   terms of khat cancel, by a factor in k and by its square in the gradient of w, and are taken in double.
   Spectra with Re w = -1/2 have no such nodes. */
#define EBB_NPLR_NEAR_RADIUS 0.25

/* Config: EbbSsmConfig. No inputs. Outputs k (C,H,Lk) and, with a readout, ke (H,Lk): (K_e)_l = e Abar^l
   Bbar, not truncated. Parameters and buffer kernel.L: ebb_ssm_spec, not diagonal. With rank 2
   there is an r for each of the columns of P and Q: r_BQ (I + r_PQ)^-1 r_PC. Products v, in this order, of
   kernels c and columns i, j: B C~_c, P_i C~_c (c fastest), B Q_j, P_i Q_j (j fastest). K products: 2 C + 2
   with rank 1, 12 or (C = 1) 9 and one that is 0 with rank 2. */
typedef struct EbbSsmNplrArgs {
  EbbSsmConfig config;
  int64_t M, Lk;
  int64_t n; /* nodes of the unit circle: internal length / rate */
  int64_t F,
      Fp; /* regular nodes j < F (all but the one at infinity, j = n / 2 of even n); Fp: F padded to 16 */
  const EbbFft *fft;                                          /* length n */
  const float *y;                                             /* (Fp) table, 0 in the padding */
  const float *C;                                             /* (C,H,M,2) */
  const float *log_dt;                                        /* (H) */
  const float *B, *P;                                         /* (1,n_ssm,M,2), (rank,n_ssm,M,2) */
  const float *inv_w_real, *w_imag;                           /* (n_ssm,M) */
  const float *e;                                             /* (H,M,2), NULL unless learned */
  float *dC, *dlog_dt, *dB, *dP, *dinv_w_real, *dw_imag, *de; /* as their values, or NULL; added to */
  float *k, *ke;                                              /* outputs; ke NULL without a readout */
  const float *dk, *dke;                                      /* their gradients, or NULL */
  float *r;       /* saved (H,K,2,Fp): real and imaginary parts of r_XY; NULL without backward */
  double *shared; /* scratch (H,M,4+2 rank): gradients of w, B, P a channel, before the copies' sum */
  char *scratch;  /* scratch_row bytes a thread */
  size_t scratch_row;
} EbbSsmNplrArgs;

/* y of a regular node. */
EBB_INLINE double ebb_nplr_node(int64_t j, int64_t n) {
  return 2 * tan(3.14159265358979323846 * (double)j / (double)n);
}

/* One product's weights at one pole: the pair's numerator is alpha + i y beta. */
typedef struct EbbCauchyWeight {
  float alpha, beta;
} EbbCauchyWeight;
typedef struct EbbCauchyWeight64 {
  double alpha, beta;
} EbbCauchyWeight64;

EBB_INLINE EbbCauchyWeight64 ebb_cauchy_weight(EbbC64 v, EbbC64 lam, double dt) {
  EbbCauchyWeight64 weight = {-2 * dt * (v.re * lam.re + v.im * lam.im), 2 * dt * v.re};
  return weight;
}

/* The formulas of one pole and one node (R a Scalar) or a vector of nodes (R a GCC vector of Scalars, hence
   the pointers).
   pair: 1 / ((z - lam)(z - conj(lam))) = p - i q at z = i y, from lam = re + i im. The factors of the real
   part (im - y)(im + y) do not cancel as im^2 - y^2 does near resonance. tiny keeps p and q finite on a pole.
   add: one pole's share of a product's sums; value: r = (ap + y bq) + i (y bp - aq).
   add_grad: from the gradient (re, im) of r, the sums for the gradients of alpha and beta and what flows on
   to p and q; pair_grad: from there to the gradients of a and y b in 1 / (a + i b) = p - i q. */
#define EBB_CAUCHY_FORMULAS(Scalar, Weight, R, tiny, Sum, Flow, name)                                        \
  typedef struct Sum {                                                                                       \
    R ap, aq, bp, bq;                                                                                        \
  } Sum;                                                                                                     \
  typedef struct Flow {                                                                                      \
    R p, q, yp, yq;                                                                                          \
  } Flow;                                                                                                    \
  EBB_INLINE void name##_pair(Scalar re, Scalar im, const R *y, R *p, R *q) {                                \
    R a = re * re + (im - *y) * (im + *y), b = -2 * re * *y;                                                 \
    R s = 1 / (a * a + (b * b + tiny));                                                                      \
    *p = a * s;                                                                                              \
    *q = b * s;                                                                                              \
  }                                                                                                          \
  EBB_INLINE void name##_add(Sum *sum, Weight weight, const R *p, const R *q) {                              \
    sum->ap += weight.alpha * *p;                                                                            \
    sum->aq += weight.alpha * *q;                                                                            \
    sum->bp += weight.beta * *p;                                                                             \
    sum->bq += weight.beta * *q;                                                                             \
  }                                                                                                          \
  EBB_INLINE void name##_value(const Sum *sum, const R *y, R *re, R *im) {                                   \
    *re = sum->ap + *y * sum->bq;                                                                            \
    *im = *y * sum->bp - sum->aq;                                                                            \
  }                                                                                                          \
  EBB_INLINE void name##_add_grad(Flow *flow, Weight weight, const R *re, const R *im, const R *p,           \
                                  const R *q, const R *yp, const R *yq, R *alpha, R *beta) {                 \
    *alpha += *re * *p - *im * *q;                                                                           \
    *beta += *re * *yq + *im * *yp;                                                                          \
    flow->p += weight.alpha * *re;                                                                           \
    flow->q -= weight.alpha * *im;                                                                           \
    flow->yp += weight.beta * *im;                                                                           \
    flow->yq += weight.beta * *re;                                                                           \
  }                                                                                                          \
  EBB_INLINE void name##_pair_grad(const Flow *flow, const R *y, const R *p, const R *q, R *a, R *b) {       \
    R dp = flow->p + *y * flow->yp, dq = flow->q + *y * flow->yq;                                            \
    R square = *p * *p - *q * *q, cross = 2 * *p * *q;                                                       \
    *a -= square * dp + cross * dq;                                                                          \
    *b += *y * (square * dq - cross * dp);                                                                   \
  }

EBB_CAUCHY_FORMULAS(float, EbbCauchyWeight, float, FLT_MIN, EbbCauchySum, EbbCauchyFlow, ebb_cauchy)

/* khat at one node, and the gradients of the four r from that of khat. */
EBB_INLINE EbbC32 ebb_woodbury(EbbC32 bc, EbbC32 pc, EbbC32 bq, EbbC32 pq, float y) {
  EbbC32 correction = ebb_c32_div(ebb_c32_mul(bq, pc), ebb_c32_make(1 + pq.re, pq.im));
  return ebb_c32_mul(ebb_c32_sub(bc, correction), ebb_c32_make(1, 0.5f * y));
}
typedef struct EbbWoodburyGrad {
  EbbC32 bc, pc, bq, pq;
} EbbWoodburyGrad;
EBB_INLINE EbbWoodburyGrad ebb_woodbury_grad(EbbC32 pc, EbbC32 bq, EbbC32 pq, float y, EbbC32 dkhat) {
  EbbC32 inverse = ebb_c32_inv(ebb_c32_make(1 + pq.re, pq.im));
  EbbC32 bq_part = ebb_c32_mul(bq, inverse), pc_part = ebb_c32_mul(pc, inverse);
  EbbWoodburyGrad grad;
  grad.bc = ebb_c32_mul_conj(dkhat, ebb_c32_make(1, 0.5f * y));
  grad.pc = ebb_c32_neg(ebb_c32_mul_conj(grad.bc, bq_part));
  grad.bq = ebb_c32_neg(ebb_c32_mul_conj(grad.bc, pc_part));
  grad.pq = ebb_c32_mul_conj(grad.bc, ebb_c32_mul(bq_part, pc_part));
  return grad;
}

/* (I + R)^-1 x for a rank-2 R, rows behind each other. */
#define EBB_SOLVE2(C, c, name)                                                                               \
  EBB_INLINE void name(const C r[4], const C x[2], C out[2]) {                                               \
    C a = c##_make(1 + r[0].re, r[0].im), d = c##_make(1 + r[3].re, r[3].im);                                \
    C inverse = c##_inv(c##_sub(c##_mul(a, d), c##_mul(r[1], r[2])));                                        \
    out[0] = c##_mul(c##_sub(c##_mul(d, x[0]), c##_mul(r[1], x[1])), inverse);                               \
    out[1] = c##_mul(c##_sub(c##_mul(a, x[1]), c##_mul(r[2], x[0])), inverse);                               \
  }

EBB_SOLVE2(EbbC32, ebb_c32, ebb_woodbury_solve)
EBB_SOLVE2(EbbC64, ebb_c64, ebb_woodbury64_solve)

/* The same with rank 2: pc of both columns, bq of both, pq row by row. */
#define EBB_WOODBURY2_FORMULAS(C, R, c, solve, Grad, name)                                                   \
  EBB_INLINE C name(C bc, const C pc[2], const C bq[2], const C pq[4], R y) {                                \
    C gamma[2];                                                                                              \
    solve(pq, pc, gamma);                                                                                    \
    C correction = c##_add(c##_mul(bq[0], gamma[0]), c##_mul(bq[1], gamma[1]));                              \
    return c##_mul(c##_sub(bc, correction), c##_make(1, y / 2));                                             \
  }                                                                                                          \
  typedef struct Grad {                                                                                      \
    C bc, pc[2], bq[2], pq[4];                                                                               \
  } Grad;                                                                                                    \
  EBB_INLINE Grad name##_grad(const C pc[2], const C bq[2], const C pq[4], R y, C dkhat) {                   \
    const C transposed[4] = {pq[0], pq[2], pq[1], pq[3]};                                                    \
    C beta[2], gamma[2];                                                                                     \
    solve(pq, pc, gamma);                                                                                    \
    solve(transposed, bq, beta);                                                                             \
    Grad grad;                                                                                               \
    grad.bc = c##_mul_conj(dkhat, c##_make(1, y / 2));                                                       \
    for (int i = 0; i < 2; i++) {                                                                            \
      grad.pc[i] = c##_neg(c##_mul_conj(grad.bc, beta[i]));                                                  \
      grad.bq[i] = c##_neg(c##_mul_conj(grad.bc, gamma[i]));                                                 \
      for (int j = 0; j < 2; j++) grad.pq[2 * i + j] = c##_mul_conj(grad.bc, c##_mul(beta[i], gamma[j]));    \
    }                                                                                                        \
    return grad;                                                                                             \
  }

EBB_WOODBURY2_FORMULAS(EbbC32, float, ebb_c32, ebb_woodbury_solve, EbbWoodbury2Grad, ebb_woodbury2)
EBB_WOODBURY2_FORMULAS(EbbC64, double, ebb_c64, ebb_woodbury64_solve, EbbWoodbury2Grad64, ebb_woodbury2_64)

/* The gradient of v from those of its weights, summed over the nodes; adds to the gradients of lam and dt. */
EBB_INLINE EbbC64 ebb_cauchy_weight_grad(EbbC64 v, EbbC64 lam, double dt, double dalpha, double dbeta,
                                         EbbC64 *dlam, double *ddt) {
  dlam->re -= 2 * dt * v.re * dalpha;
  dlam->im -= 2 * dt * v.im * dalpha;
  *ddt += 2 * (v.re * dbeta - (v.re * lam.re + v.im * lam.im) * dalpha);
  return ebb_c64_make(2 * dt * (dbeta - lam.re * dalpha), -2 * dt * lam.im * dalpha);
}

/* The discrete system without matrices: x' = a x - sum_j r_j s_j + Bbar u, s_j = 2 Re sum q_j x over the
   stored modes. With d = 1 / (1 - dt w / 2), G_ij = 2 Re sum conj(P_i) d P_j, kappa = dt (I + dt G / 2)^-1:
   a = 2 d - 1, r_j = d sum_i P_i kappa_ij, q_j = conj(P_j) d, Bbar = dt d B - (dt / 2) sum_j s_Bj r_j,
   s_Bj = 2 Re sum q_j B (Woodbury's formula on (I - dt/2 A)^-1 = (Abar + I) / 2). */
EBB_INLINE EbbC64 ebb_dplr_inverse(EbbC64 w, double dt) {
  return ebb_c64_inv(ebb_c64_make(1 - 0.5 * dt * w.re, -0.5 * dt * w.im));
}
/* rank^2 values, rows behind each other. */
EBB_INLINE void ebb_dplr_kappa(int64_t rank, double dt, const double *G, double *kappa) {
  if (rank == 1) {
    kappa[0] = dt / (1 + 0.5 * dt * G[0]);
    return;
  }
  double a = 1 + 0.5 * dt * G[0], b = 0.5 * dt * G[1], c = 0.5 * dt * G[2], d = 1 + 0.5 * dt * G[3];
  double scale = dt / (a * d - b * c);
  kappa[0] = d * scale, kappa[1] = -b * scale, kappa[2] = -c * scale, kappa[3] = a * scale;
}

/* Channel h's copy of the shared parameters, in double; P: its two columns, the second 0 with rank 1. */
EBB_INLINE void ebb_ssm_nplr_mode(const EbbSsmNplrArgs *args, int64_t h, int64_t m, EbbC64 *w, EbbC64 *B,
                                  EbbC64 P[2]) {
  int64_t i = h % ebb_ssm_copies(&args->config) * args->M + m;
  *w = ebb_c64_make(ebb_ssm_real(args->config.real_type, 0, (double)args->inv_w_real[i]),
                    (double)args->w_imag[i]);
  *B = ebb_c64_make((double)args->B[2 * i], (double)args->B[2 * i + 1]);
  P[1] = ebb_c64_make(0, 0);
  for (int64_t c = 0; c < ebb_ssm_rank(&args->config); c++) {
    int64_t at = 2 * (c * ebb_ssm_copies(&args->config) * args->M + i);
    P[c] = ebb_c64_make((double)args->P[at], (double)args->P[at + 1]);
  }
}

#ifdef __cplusplus
}
#endif
#endif
