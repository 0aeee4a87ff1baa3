/* Op ssm_nplr: the convolution kernel of a diagonal plus rank-1 state-space model, by its generating
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
   Bbar, not truncated. Parameters and buffer kernel.L: ebb_ssm_spec, not diagonal. Products v, in this order,
   K = 2 C + 2 of them: B C~_c (C), P C~_c (C), B Q, P Q. */
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
  const float *B, *P;                                         /* (1,n_ssm,M,2) */
  const float *inv_w_real, *w_imag;                           /* (n_ssm,M) */
  const float *e;                                             /* (H,M,2), NULL unless learned */
  float *dC, *dlog_dt, *dB, *dP, *dinv_w_real, *dw_imag, *de; /* as their values, or NULL; added to */
  float *k, *ke;                                              /* outputs; ke NULL without a readout */
  const float *dk, *dke;                                      /* their gradients, or NULL */
  float *r;       /* saved (H,K,2,Fp): real and imaginary parts of r_XY; NULL without backward */
  double *shared; /* scratch (H,M,6): gradients of w, B, P a channel, before the copies' sum */
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

/* khat at one node, and the gradients of the four r from that of khat, for a complex type C. */
#define EBB_WOODBURY_FORMULAS(C, R, c, Grad, name)                                                           \
  EBB_INLINE C name(C bc, C pc, C bq, C pq, R y) {                                                           \
    C correction = c##_div(c##_mul(bq, pc), c##_make(1 + pq.re, pq.im));                                     \
    return c##_mul(c##_sub(bc, correction), c##_make(1, y / 2));                                             \
  }                                                                                                          \
  typedef struct Grad {                                                                                      \
    C bc, pc, bq, pq;                                                                                        \
  } Grad;                                                                                                    \
  EBB_INLINE Grad name##_grad(C pc, C bq, C pq, R y, C dkhat) {                                              \
    C inverse = c##_inv(c##_make(1 + pq.re, pq.im));                                                         \
    C bq_part = c##_mul(bq, inverse), pc_part = c##_mul(pc, inverse);                                        \
    Grad grad;                                                                                               \
    grad.bc = c##_mul_conj(dkhat, c##_make(1, y / 2));                                                       \
    grad.pc = c##_neg(c##_mul_conj(grad.bc, bq_part));                                                       \
    grad.bq = c##_neg(c##_mul_conj(grad.bc, pc_part));                                                       \
    grad.pq = c##_mul_conj(grad.bc, c##_mul(bq_part, pc_part));                                              \
    return grad;                                                                                             \
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

EBB_WOODBURY_FORMULAS(EbbC32, float, ebb_c32, EbbWoodburyGrad, ebb_woodbury)
EBB_WOODBURY_FORMULAS(EbbC64, double, ebb_c64, EbbWoodburyGrad64, ebb_woodbury64)

/* The gradient of v from those of its weights, summed over the nodes; adds to the gradients of lam and dt. */
EBB_INLINE EbbC64 ebb_cauchy_weight_grad(EbbC64 v, EbbC64 lam, double dt, double dalpha, double dbeta,
                                         EbbC64 *dlam, double *ddt) {
  dlam->re -= 2 * dt * v.re * dalpha;
  dlam->im -= 2 * dt * v.im * dalpha;
  *ddt += 2 * (v.re * dbeta - (v.re * lam.re + v.im * lam.im) * dalpha);
  return ebb_c64_make(2 * dt * (dbeta - lam.re * dalpha), -2 * dt * lam.im * dalpha);
}

/* The discrete system without matrices: x' = a x - r s + Bbar u with s = 2 Re sum q x over the stored modes.
   With d = 1 / (1 - dt w / 2), g = 2 Re sum |P|^2 d and kappa = dt / (1 + dt g / 2):
   a = 2 d - 1, r = kappa d P, q = conj(P) d, Bbar = dt d B - (dt / 2) s_B r, s_B = 2 Re sum q B
   (Woodbury's formula on (I - dt/2 A)^-1 = (Abar + I) / 2). */
EBB_INLINE EbbC64 ebb_dplr_inverse(EbbC64 w, double dt) {
  return ebb_c64_inv(ebb_c64_make(1 - 0.5 * dt * w.re, -0.5 * dt * w.im));
}
EBB_INLINE double ebb_dplr_kappa(double dt, double g) { return dt / (1 + 0.5 * dt * g); }

/* Column i of P in channel h's copy, in double. */
EBB_INLINE EbbC64 ebb_ssm_nplr_P(const EbbSsmNplrArgs *args, int64_t h, int64_t m, int64_t i) {
  int64_t copies = ebb_ssm_copies(&args->config), at = 2 * ((i * copies + h % copies) * args->M + m);
  return ebb_c64_make((double)args->P[at], (double)args->P[at + 1]);
}

/* Channel h's copy of the shared parameters, in double; P its first column. */
EBB_INLINE void ebb_ssm_nplr_mode(const EbbSsmNplrArgs *args, int64_t h, int64_t m, EbbC64 *w, EbbC64 *B,
                                  EbbC64 *P) {
  int64_t i = h % ebb_ssm_copies(&args->config) * args->M + m;
  *w = ebb_c64_make(ebb_ssm_real(args->config.real_type, 0, (double)args->inv_w_real[i]),
                    (double)args->w_imag[i]);
  *B = ebb_c64_make((double)args->B[2 * i], (double)args->B[2 * i + 1]);
  *P = ebb_c64_make((double)args->P[2 * i], (double)args->P[2 * i + 1]);
}

#ifdef __cplusplus
}
#endif
#endif
