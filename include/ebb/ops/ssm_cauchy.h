/* Formulas of op ssm_nplr at one pole and one node: Cauchy products r_XY and Woodbury's correction, whose
   notation stands in ebb/ops/ssm_nplr.h. */
#ifndef EBB_OPS_SSM_CAUCHY_H
#define EBB_OPS_SSM_CAUCHY_H

#include <float.h>

#include "ebb/complex.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#define EBB_CAUCHY_INVERSE(x) (1 / (x))

/* The formulas of one pole and one node (R a Scalar) or a vector of nodes (R a GCC vector of Scalars, hence
   the pointers). inverse: 1 / x.
   pair: 1 / ((z - lam)(z - conj(lam))) = p - i q at z = i y, from lam = re + i im. The factors of the real
   part (im - y)(im + y) do not cancel as im^2 - y^2 does near resonance. tiny keeps p and q finite on a pole.
   add: one pole's share of a product's sums; value: r = (ap + y bq) + i (y bp - aq).
   add_grad: from the gradient (re, im) of r, the sums for the gradients of alpha and beta and what flows on
   to p and q; pair_grad: from there to the gradients of a and y b in 1 / (a + i b) = p - i q. */
#define EBB_CAUCHY_FORMULAS(Scalar, Weight, R, inverse, tiny, Sum, Flow, name)                               \
  typedef struct Sum {                                                                                       \
    R ap, aq, bp, bq;                                                                                        \
  } Sum;                                                                                                     \
  typedef struct Flow {                                                                                      \
    R p, q, yp, yq;                                                                                          \
  } Flow;                                                                                                    \
  EBB_INLINE void name##_pair(Scalar re, Scalar im, const R *y, R *p, R *q) {                                \
    R a = re * re + (im - *y) * (im + *y), b = -2 * re * *y;                                                 \
    R s = inverse(a * a + (b * b + tiny));                                                                   \
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

EBB_CAUCHY_FORMULAS(float, EbbCauchyWeight, float, ebb_reciprocalf, FLT_MIN, EbbCauchySum, EbbCauchyFlow,
                    ebb_cauchy)

/* khat at one node. */
EBB_INLINE EbbC32 ebb_woodbury(EbbC32 bc, EbbC32 pc, EbbC32 bq, EbbC32 pq, float y) {
  EbbC32 correction = ebb_c32_div(ebb_c32_mul(bq, pc), ebb_c32_make(1 + pq.re, pq.im));
  return ebb_c32_mul(ebb_c32_sub(bc, correction), ebb_c32_make(1, 0.5f * y));
}

/* beta = r_BQ (I + r_PQ)^-1 and gamma = (I + r_PQ)^-1 r_PC, and with them the gradients of the four r from
   that of khat. */
EBB_INLINE void ebb_woodbury_factors(EbbC32 pc, EbbC32 bq, EbbC32 pq, EbbC32 *beta, EbbC32 *gamma) {
  EbbC32 inverse = ebb_c32_inv(ebb_c32_make(1 + pq.re, pq.im));
  *beta = ebb_c32_mul(bq, inverse);
  *gamma = ebb_c32_mul(pc, inverse);
}
typedef struct EbbWoodburyGrad {
  EbbC32 bc, pc, bq, pq;
} EbbWoodburyGrad;
EBB_INLINE EbbWoodburyGrad ebb_woodbury_grad(EbbC32 beta, EbbC32 gamma, float y, EbbC32 dkhat) {
  EbbWoodburyGrad grad;
  grad.bc = ebb_c32_mul_conj(dkhat, ebb_c32_make(1, 0.5f * y));
  grad.pc = ebb_c32_neg(ebb_c32_mul_conj(grad.bc, beta));
  grad.bq = ebb_c32_neg(ebb_c32_mul_conj(grad.bc, gamma));
  grad.pq = ebb_c32_mul_conj(grad.bc, ebb_c32_mul(beta, gamma));
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
  EBB_INLINE void name##_factors(const C pc[2], const C bq[2], const C pq[4], C beta[2], C gamma[2]) {       \
    const C transposed[4] = {pq[0], pq[2], pq[1], pq[3]};                                                    \
    solve(pq, pc, gamma);                                                                                    \
    solve(transposed, bq, beta);                                                                             \
  }                                                                                                          \
  typedef struct Grad {                                                                                      \
    C bc, pc[2], bq[2], pq[4];                                                                               \
  } Grad;                                                                                                    \
  EBB_INLINE Grad name##_grad(const C beta[2], const C gamma[2], R y, C dkhat) {                             \
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

#ifdef __cplusplus
}
#endif
#endif
