/* Formulas of op ssm_nplr for one mode of one channel, in double: its parameters, the weights of its Cauchy
   products, the nodes near its pole. */
#ifndef EBB_OPS_SSM_NPLR_MODE_H
#define EBB_OPS_SSM_NPLR_MODE_H

#include "ebb/ops/ssm_nplr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Channel h's time step. */
EBB_INLINE double ebb_nplr_dt(const EbbSsmNplrArgs *args, int64_t h) {
  return exp((double)args->log_dt[h]) * args->config.rate;
}

/* Channel h's copy of the shared parameters; P: its two columns, the second 0 with rank 1. */
EBB_INLINE void ebb_ssm_nplr_mode(const EbbSsmNplrArgs *args, int64_t h, int64_t m, EbbC64 *w, EbbC64 *B,
                                  EbbC64 P[2]) {
  int64_t i = h % ebb_ssm_copies(&args->config) * args->M + m;
  *w = ebb_c64_make(ebb_ssm_real(args->config.real_type, 0, (double)args->inv_w_real[i]),
                    (double)args->w_imag[i]);
  *B = ebb_c64_make((double)args->B[2 * i], (double)args->B[2 * i + 1]);
  for (int64_t c = 0; c < 2; c++) {
    int64_t at = 2 * (c * ebb_ssm_copies(&args->config) * args->M + i);
    P[c] = c < ebb_ssm_rank(&args->config) ? ebb_c64_make((double)args->P[at], (double)args->P[at + 1])
                                           : ebb_c64_make(0, 0);
  }
}

/* A mode with its pole lam = w dt. */
typedef struct EbbNplrMode {
  EbbC64 w, lam, B, P[2];
  double dt;
} EbbNplrMode;
EBB_INLINE EbbNplrMode ebb_nplr_mode(const EbbSsmNplrArgs *args, int64_t h, int64_t m, double dt) {
  EbbNplrMode mode;
  ebb_ssm_nplr_mode(args, h, m, &mode.w, &mode.B, mode.P);
  mode.lam = ebb_c64_scale(mode.w, dt);
  mode.dt = dt;
  return mode;
}

/* Where kernel c's C~ of it stands, in pairs of floats, and the value. */
EBB_INLINE int64_t ebb_nplr_output_at(const EbbSsmNplrArgs *args, int64_t h, int64_t m, int64_t c) {
  return (c * args->config.H + h) * args->M + m;
}
EBB_INLINE EbbC64 ebb_nplr_output(const EbbSsmNplrArgs *args, int64_t h, int64_t m, int64_t c) {
  const float *C = args->C + 2 * ebb_nplr_output_at(args, h, m, c);
  return ebb_c64_make((double)C[0], (double)C[1]);
}

/* The weights of all products; rank and channels are those of args, as constants where there are such. */
EBB_INLINE void ebb_nplr_weights(const EbbSsmNplrArgs *args, int64_t h, int64_t m, const EbbNplrMode *mode,
                                 int64_t rank, int64_t channels, EbbCauchyWeight64 *weight) {
  const EbbC64 *P = mode->P;
  int64_t bq = ebb_nplr_bq(rank, channels), pq = ebb_nplr_pq(rank, channels);
  for (int64_t c = 0; c < channels; c++) {
    EbbC64 C = ebb_nplr_output(args, h, m, c);
    weight[c] = ebb_cauchy_weight(ebb_c64_mul(mode->B, C), mode->lam, mode->dt);
    for (int64_t i = 0; i < rank; i++)
      weight[ebb_nplr_pc(channels, i, c)] = ebb_cauchy_weight(ebb_c64_mul(P[i], C), mode->lam, mode->dt);
  }
  for (int64_t j = 0; j < rank; j++) {
    weight[bq + j] = ebb_cauchy_weight(ebb_c64_mul_conj(mode->B, P[j]), mode->lam, mode->dt);
    for (int64_t i = 0; i < rank; i++)
      weight[pq + i * rank + j] = ebb_cauchy_weight(ebb_c64_mul_conj(P[i], P[j]), mode->lam, mode->dt);
  }
}

/* The first node with y_j >= y, at most F. */
EBB_INLINE int64_t ebb_nplr_node_from(const EbbSsmNplrArgs *args, double y) {
  if (y <= 0) return 0;
  double j = ceil(atan(0.5 * y) * (double)args->n / 3.14159265358979323846);
  return j < (double)args->F ? (int64_t)j : args->F;
}
/* The nodes *begin <= j < *end that are near a pole. */
EBB_INLINE void ebb_nplr_near(const EbbSsmNplrArgs *args, EbbC64 lam, double dt, int64_t *begin,
                              int64_t *end) {
  double radius = EBB_NPLR_NEAR_RADIUS * dt;
  *begin = *end = 0;
  if (!(fabs(lam.re) < radius)) return;
  double half = sqrt(radius * radius - lam.re * lam.re), at = fabs(lam.im);
  *begin = ebb_nplr_node_from(args, at - half);
  *end = ebb_nplr_node_from(args, at + half);
}

/* A mode's place in args->shared, in the order of its rows: gradients of w, B and P, written or added. */
EBB_INLINE void ebb_nplr_share(const EbbSsmNplrArgs *args, int64_t h, int64_t m, EbbC64 dw, EbbC64 dB,
                               const EbbC64 dP[2], bool add) {
  int64_t shares = ebb_nplr_shares(ebb_ssm_rank(&args->config));
  const double share[8] = {dw.re, dw.im, dB.re, dB.im, dP[0].re, dP[0].im, dP[1].re, dP[1].im};
  for (int64_t i = 0; i < shares; i++) {
    double *to = &args->shared[(h * shares + i) * args->M + m];
    *to = add ? *to + share[i] : share[i];
  }
}

#ifdef __cplusplus
}
#endif
#endif
