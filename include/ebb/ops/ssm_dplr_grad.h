/* From the gradients of a discrete diagonal plus low-rank system to those of w, B, P and dt; the formulas of
   ebb/ops/ssm_dplr.h backwards, in double. */
#ifndef EBB_OPS_SSM_DPLR_GRAD_H
#define EBB_OPS_SSM_DPLR_GRAD_H

#include "ebb/ops/ssm_dplr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A channel's sums over its modes: s_B, kappa and the gradients that pass through them. */
typedef struct EbbDplrChain {
  int64_t rank;
  double dt, sB[2], dsB[2], kappa[4], dkappa[4], dG[4];
} EbbDplrChain;

/* c = a b, or a b^T or a^T b, of rank^2 values. */
EBB_INLINE void ebb_dplr_multiply(int64_t rank, const double *a, const double *b, bool a_turned,
                                  bool b_turned, double *c) {
  for (int64_t i = 0; i < rank; i++)
    for (int64_t j = 0; j < rank; j++) {
      c[i * rank + j] = 0;
      for (int64_t l = 0; l < rank; l++)
        c[i * rank + j] +=
            a[a_turned ? l * rank + i : i * rank + l] * b[b_turned ? j * rank + l : l * rank + j];
    }
}

/* r_j feeds Bbar too: its gradient with that. */
EBB_INLINE void ebb_dplr_through_input(const EbbDplrChain *chain, EbbDplrPart *grad) {
  for (int64_t j = 0; j < chain->rank; j++)
    grad->r[j] = ebb_c64_sub(grad->r[j], ebb_c64_scale(grad->x0, 0.5 * chain->dt * chain->sB[j]));
}

/* A mode's terms of dsB_j and, from the gradient of r with ebb_dplr_through_input, of dkappa_ij. */
EBB_INLINE double ebb_dplr_input_grad_term(double dt, EbbC64 dx0, EbbC64 r) {
  return -0.5 * dt * ebb_c64_mul_conj(dx0, r).re;
}
EBB_INLINE double ebb_dplr_kappa_grad_term(const EbbDplrMode *mode, int64_t i, EbbC64 dr) {
  return ebb_c64_mul_conj(dr, ebb_c64_mul(mode->d, mode->P[i])).re;
}

/* dG from dkappa. */
EBB_INLINE void ebb_dplr_kappa_grad(EbbDplrChain *chain) {
  double product[4];
  ebb_dplr_multiply(chain->rank, chain->kappa, chain->dkappa, true, false, product);
  ebb_dplr_multiply(chain->rank, product, chain->kappa, false, true, chain->dG);
  for (int64_t i = 0; i < chain->rank * chain->rank; i++) chain->dG[i] *= -0.5;
}

/* The share of d dt through kappa, whose derivative with G fixed is kappa^2 / dt^2. */
EBB_INLINE double ebb_dplr_kappa_share(const EbbDplrChain *chain) {
  double square[4] = {0}, sum = 0;
  ebb_dplr_multiply(chain->rank, chain->kappa, chain->kappa, false, false, square);
  for (int64_t i = 0; i < chain->rank * chain->rank; i++) sum += chain->dkappa[i] * square[i];
  return sum / (chain->dt * chain->dt);
}

/* Gradients of one mode's d, B and P. */
typedef struct EbbDplrModeGrad {
  EbbC64 d, B, P[2];
} EbbDplrModeGrad;

/* As many as P has room for. */
EBB_INLINE int64_t ebb_dplr_columns(const EbbDplrChain *chain) { return chain->rank == 2 ? 2 : 1; }

/* Column j: through r_j = d sum_i P_i kappa_ij, q_j = conj(P_j) d, s_Bj and the G_ij. */
EBB_INLINE void ebb_dplr_column_grad(const EbbDplrChain *chain, const EbbDplrMode *mode, int64_t j, EbbC64 dr,
                                     EbbC64 dq, EbbDplrModeGrad *grad) {
  int64_t rank = ebb_dplr_columns(chain);
  EbbC64 d = mode->d, q = ebb_dplr_q(mode, j), into = {0, 0};
  dq = ebb_c64_add(dq, ebb_c64_scale(ebb_c64_conj(mode->B), 2 * chain->dsB[j]));
  grad->B = ebb_c64_add(grad->B, ebb_c64_scale(ebb_c64_conj(q), 2 * chain->dsB[j]));
  grad->P[j] = ebb_c64_add(grad->P[j], ebb_c64_mul_conj(d, dq));
  grad->d = ebb_c64_add(grad->d, ebb_c64_mul(dq, mode->P[j]));
  for (int64_t i = 0; i < rank; i++) {
    double kappa = chain->kappa[i * rank + j], twice_dG = 2 * chain->dG[i * rank + j];
    EbbC64 P = mode->P[i];
    into = ebb_c64_add(into, ebb_c64_scale(P, kappa));
    grad->P[i] = ebb_c64_add(grad->P[i], ebb_c64_scale(ebb_c64_mul_conj(dr, d), kappa));
    grad->P[i] = ebb_c64_add(grad->P[i], ebb_c64_scale(ebb_c64_mul(d, mode->P[j]), twice_dG));
    grad->P[j] = ebb_c64_add(grad->P[j], ebb_c64_scale(ebb_c64_mul_conj(P, d), twice_dG));
    grad->d = ebb_c64_add(grad->d, ebb_c64_scale(ebb_c64_mul_conj(P, mode->P[j]), twice_dG));
  }
  grad->d = ebb_c64_add(grad->d, ebb_c64_mul_conj(dr, into));
}

/* From the gradients of a, x0, r (with ebb_dplr_through_input) and q of mode m of channel h to those of w, B
   and P, added to args->shared; returns the share of d dt. */
EBB_INLINE double ebb_dplr_mode_grad(const EbbSsmNplrArgs *args, int64_t h, int64_t m,
                                     const EbbDplrChain *chain, const EbbDplrMode *mode,
                                     const EbbDplrPart *part, const EbbDplrPart *dpart) {
  double dt = chain->dt;
  EbbDplrModeGrad grad = {{0, 0}, {0, 0}, {{0, 0}, {0, 0}}};
  grad.B = ebb_c64_scale(ebb_c64_mul_conj(dpart->x0, mode->d), dt);
  grad.d = ebb_c64_add(ebb_c64_scale(ebb_c64_mul_conj(dpart->x0, mode->B), dt), ebb_c64_scale(dpart->a, 2));
  EbbC64 direct = ebb_c64_mul(mode->d, mode->B);
  for (int64_t j = 0; j < ebb_dplr_columns(chain); j++) {
    ebb_dplr_column_grad(chain, mode, j, dpart->r[j], dpart->q[j], &grad);
    direct = ebb_c64_sub(direct, ebb_c64_scale(part->r[j], 0.5 * chain->sB[j]));
  }
  EbbC64 inner = ebb_c64_mul_conj(grad.d, ebb_c64_mul(mode->d, mode->d));
  ebb_nplr_share(args, h, m, ebb_c64_scale(inner, 0.5 * dt), grad.B, grad.P, true);
  return ebb_c64_mul_conj(dpart->x0, direct).re + 0.5 * ebb_c64_mul_conj(inner, mode->w).re;
}

#ifdef __cplusplus
}
#endif
#endif
