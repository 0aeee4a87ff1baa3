/* Formulas of the discrete diagonal plus low-rank system without matrices, in double: x' = a x - sum_j r_j
   s_j + Bbar u, s_j = 2 Re sum q_j x over the stored modes. With d = 1 / (1 - dt w / 2), G_ij = 2 Re sum
   conj(P_i) d P_j, kappa = dt (I + dt G / 2)^-1: a = 2 d - 1, r_j = d sum_i P_i kappa_ij, q_j = conj(P_j) d,
   Bbar = dt d B - (dt / 2) sum_j s_Bj r_j, s_Bj = 2 Re sum q_j B (Woodbury's formula on (I - dt/2 A)^-1 =
   (Abar + I) / 2). */
#ifndef EBB_OPS_SSM_DPLR_H
#define EBB_OPS_SSM_DPLR_H

#include "ebb/ops/ssm_nplr_mode.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* One mode before kappa is known. */
typedef struct EbbDplrMode {
  EbbC64 w, d, B, P[2];
} EbbDplrMode;
EBB_INLINE EbbDplrMode ebb_dplr_mode(const EbbSsmNplrArgs *args, int64_t h, int64_t m, double dt) {
  EbbDplrMode mode;
  ebb_ssm_nplr_mode(args, h, m, &mode.w, &mode.B, mode.P);
  mode.d = ebb_dplr_inverse(mode.w, dt);
  return mode;
}
EBB_INLINE EbbC64 ebb_dplr_q(const EbbDplrMode *mode, int64_t j) {
  return ebb_c64_mul_conj(mode->d, mode->P[j]);
}
/* Its terms of s_Bj and G_ij. */
EBB_INLINE double ebb_dplr_input_term(const EbbDplrMode *mode, int64_t j) {
  return 2 * ebb_c64_mul(ebb_dplr_q(mode, j), mode->B).re;
}
EBB_INLINE double ebb_dplr_low_rank_term(const EbbDplrMode *mode, int64_t i, int64_t j) {
  return 2 * ebb_c64_mul(ebb_dplr_q(mode, i), mode->P[j]).re;
}

/* Its part of the system. */
typedef struct EbbDplrPart {
  EbbC64 a, x0, r[2], q[2]; /* x0 = Bbar */
} EbbDplrPart;
EBB_INLINE EbbDplrPart ebb_dplr_part(const EbbDplrMode *mode, int64_t rank, double dt, const double *kappa,
                                     const double *sB) {
  EbbDplrPart part;
  part.a = ebb_c64_make(2 * mode->d.re - 1, 2 * mode->d.im);
  part.x0 = ebb_c64_scale(ebb_c64_mul(mode->d, mode->B), dt);
  for (int64_t j = 0; j < rank; j++) {
    EbbC64 sum = {0, 0};
    for (int64_t i = 0; i < rank; i++) sum = ebb_c64_add(sum, ebb_c64_scale(mode->P[i], kappa[i * rank + j]));
    part.r[j] = ebb_c64_mul(mode->d, sum);
    part.q[j] = ebb_dplr_q(mode, j);
    part.x0 = ebb_c64_sub(part.x0, ebb_c64_scale(part.r[j], 0.5 * dt * sB[j]));
  }
  return part;
}

#ifdef __cplusplus
}
#endif
#endif
