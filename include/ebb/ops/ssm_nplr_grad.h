/* Formulas of op ssm_nplr for one mode of one channel, in double: from its products' sums over the nodes to
   the gradients of its parameters. */
#ifndef EBB_OPS_SSM_NPLR_GRAD_H
#define EBB_OPS_SSM_NPLR_GRAD_H

#include "ebb/ops/ssm_nplr_mode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The gradient of v from those of its weights, summed over the nodes; adds to the gradients of lam and dt. */
EBB_INLINE EbbC64 ebb_cauchy_weight_grad(EbbC64 v, EbbC64 lam, double dt, double dalpha, double dbeta,
                                         EbbC64 *dlam, double *ddt) {
  dlam->re -= 2 * dt * v.re * dalpha;
  dlam->im -= 2 * dt * v.im * dalpha;
  *ddt += 2 * (v.re * dbeta - (v.re * lam.re + v.im * lam.im) * dalpha);
  return ebb_c64_make(2 * dt * (dbeta - lam.re * dalpha), -2 * dt * lam.im * dalpha);
}

typedef struct EbbNplrModeGrad {
  EbbC64 lam, B, P[2];
  double dt;
} EbbNplrModeGrad;

EBB_INLINE EbbC64 ebb_nplr_add_mul_conj(EbbC64 to, EbbC64 a, EbbC64 b) {
  return ebb_c64_add(to, ebb_c64_mul_conj(a, b));
}

/* The gradient of product v, whose sums of alpha's and beta's gradients are at `sum`. */
EBB_INLINE EbbC64 ebb_nplr_product_grad(const EbbNplrMode *mode, EbbC64 v, const double *sum,
                                        EbbNplrModeGrad *grad) {
  return ebb_cauchy_weight_grad(v, mode->lam, mode->dt, sum[0], sum[1], &grad->lam, &grad->dt);
}

/* Kernel c: products B C and P C; returns the gradient of its C~. infinity: the gradient of k at the node at
   infinity. */
EBB_INLINE EbbC64 ebb_nplr_output_grad(const EbbNplrMode *mode, EbbC64 C, int64_t rank, int64_t channels,
                                       int64_t c, const double *sum, double infinity, EbbNplrModeGrad *grad) {
  const double bc_sum[] = {sum[2 * c], sum[2 * c + 1] + 0.5 * infinity};
  EbbC64 dbc = ebb_nplr_product_grad(mode, ebb_c64_mul(mode->B, C), bc_sum, grad);
  EbbC64 dC = ebb_c64_mul_conj(dbc, mode->B);
  grad->B = ebb_nplr_add_mul_conj(grad->B, dbc, C);
  for (int64_t i = 0; i < rank; i++) {
    const double *pc_sum = sum + 2 * ebb_nplr_pc(channels, i, c);
    EbbC64 dpc = ebb_nplr_product_grad(mode, ebb_c64_mul(mode->P[i], C), pc_sum, grad);
    grad->P[i] = ebb_nplr_add_mul_conj(grad->P[i], dpc, C);
    dC = ebb_nplr_add_mul_conj(dC, dpc, mode->P[i]);
  }
  return dC;
}

/* Products B conj(P) and P conj(P), and the denominator, whose two sums are at `pair`. */
EBB_INLINE void ebb_nplr_pole_grad(const EbbNplrMode *mode, int64_t rank, int64_t channels, const double *sum,
                                   const double *pair, EbbNplrModeGrad *grad) {
  int64_t bq = ebb_nplr_bq(rank, channels), pq = ebb_nplr_pq(rank, channels);
  const EbbC64 *P = mode->P;
  for (int64_t j = 0; j < rank; j++) {
    EbbC64 dbq = ebb_nplr_product_grad(mode, ebb_c64_mul_conj(mode->B, P[j]), sum + 2 * (bq + j), grad);
    grad->B = ebb_c64_add(grad->B, ebb_c64_mul(dbq, P[j]));
    grad->P[j] = ebb_nplr_add_mul_conj(grad->P[j], mode->B, dbq);
    for (int64_t i = 0; i < rank; i++) {
      const double *pq_sum = sum + 2 * (pq + i * rank + j);
      EbbC64 dpq = ebb_nplr_product_grad(mode, ebb_c64_mul_conj(P[i], P[j]), pq_sum, grad);
      grad->P[i] = ebb_c64_add(grad->P[i], ebb_c64_mul(dpq, P[j]));
      grad->P[j] = ebb_nplr_add_mul_conj(grad->P[j], P[i], dpq);
    }
  }
  grad->lam.re += 2 * (mode->lam.re * pair[0] - pair[1]);
  grad->lam.im += 2 * mode->lam.im * pair[0];
  grad->dt += grad->lam.re * mode->w.re + grad->lam.im * mode->w.im;
}

#ifdef __cplusplus
}
#endif
#endif
