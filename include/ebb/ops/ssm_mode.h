/* One mode of a diagonal state-space model, for ssm_diag and s4_scan: parameters, discretisation, gradients.
   With x = w dt, a mode's state goes from z to lambda z + bbar u, bbar = B f, f = dt phi(x):
     bilinear  lambda = (1 + x/2) / (1 - x/2), phi = 1 / (1 - x/2)
     zoh       lambda = e^x, phi = (e^x - 1) / x
     dss       lambda = e^x, phi = (e^x - 1) / (2 x (e^(x Lk) - 1))
   Source: Gu et al. 2022, arXiv 2206.11893, section 3; Gupta et al. 2022, arXiv 2203.14343 (dss). */
#ifndef EBB_OPS_SSM_MODE_H
#define EBB_OPS_SSM_MODE_H

#include "ebb/ops/ssm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The parameters behind the modes of a diagonal system, and where their gradients are added. */
typedef struct EbbSsmDiagonal {
  EbbSsmConfig config;
  const float *log_dt;                         /* (H) */
  const float *B;                              /* (n_ssm,M,2) */
  const float *inv_w_real, *w_imag;            /* (n_ssm,M) */
  float *dlog_dt, *dB, *dinv_w_real, *dw_imag; /* the same, or NULL */
} EbbSsmDiagonal;
/* Declares them, from an op's setup. Errors: those of setup. */
EbbStatus ebb_ssm_diagonal_setup(EbbSetup *setup, const EbbSsmConfig *config,
                                 EbbSsmDiagonal *diagonal) EBB_MUST_CHECK;

/* One mode's discretisation: lambda, phi, d phi / dx and d log lambda / dx. */
typedef struct EbbSsmDiscrete {
  EbbC64 lambda, phi, dphi, dlog;
} EbbSsmDiscrete;

EBB_INLINE EbbSsmDiscrete ebb_ssm_bilinear(EbbC64 x) {
  EbbC64 q = ebb_c64_inv(ebb_c64_make(1 - 0.5 * x.re, -0.5 * x.im));
  EbbC64 p = ebb_c64_make(1 + 0.5 * x.re, 0.5 * x.im);
  EbbSsmDiscrete out = {ebb_c64_mul(p, q), q, ebb_c64_scale(ebb_c64_mul(q, q), 0.5), ebb_c64_div(q, p)};
  return out;
}

EBB_INLINE EbbSsmDiscrete ebb_ssm_zoh(EbbC64 x) {
  const EbbC64 one = {1, 0};
  EbbSsmDiscrete out = {ebb_c64_exp(x), one, {0.5, 0}, one};
  if (ebb_c64_norm2(x) > 1e-6) {
    out.phi = ebb_c64_div(ebb_c64_sub(out.lambda, one), x);
    out.dphi = ebb_c64_div(ebb_c64_sub(out.lambda, out.phi), x);
    return out;
  }
  /* Taylor series sum x^i / (i + 1)! and its derivative, where the quotients cancel. */
  EbbC64 power = one;
  double factorial = 1;
  out.dphi = ebb_c64_make(0, 0);
  for (int i = 1; i < 6; i++) {
    factorial *= i + 1;
    out.dphi = ebb_c64_add(out.dphi, ebb_c64_scale(power, i / factorial));
    power = ebb_c64_mul(power, x);
    out.phi = ebb_c64_add(out.phi, ebb_c64_scale(power, 1 / factorial));
  }
  return out;
}

EBB_INLINE EbbSsmDiscrete ebb_ssm_dss(EbbC64 x, double Lk) {
  EbbSsmDiscrete out = ebb_ssm_zoh(x);
  EbbC64 last = ebb_c64_exp(ebb_c64_scale(x, Lk)), below = ebb_c64_make(last.re - 1, last.im);
  EbbC64 scale = ebb_c64_scale(ebb_c64_inv(below), 0.5), growth = ebb_c64_scale(ebb_c64_div(last, below), Lk);
  out.dphi = ebb_c64_mul(ebb_c64_sub(out.dphi, ebb_c64_mul(out.phi, growth)), scale);
  out.phi = ebb_c64_mul(out.phi, scale);
  return out;
}

EBB_INLINE EbbSsmDiscrete ebb_ssm_discretise(EbbSsmDisc disc, EbbC64 x, int64_t Lk) {
  if (disc == EBB_SSM_BILINEAR) return ebb_ssm_bilinear(x);
  return disc == EBB_SSM_ZOH ? ebb_ssm_zoh(x) : ebb_ssm_dss(x, (double)Lk);
}

/* One mode of a channel in double: dt, w, B and the discretisation at x = w dt. */
typedef struct EbbSsmMode {
  double dt;
  EbbC64 w, B;
  EbbSsmDiscrete discrete;
} EbbSsmMode;
EBB_INLINE EbbSsmMode ebb_ssm_mode(const EbbSsmDiagonal *diagonal, int64_t h, int64_t m) {
  const EbbSsmConfig *config = &diagonal->config;
  const int64_t i = h % ebb_ssm_copies(config) * ebb_ssm_modes(config) + m;
  EbbSsmMode mode;
  mode.dt = exp((double)diagonal->log_dt[h]) * config->rate;
  mode.w = ebb_c64_make(ebb_ssm_real(config->real_type, 1e-4, (double)diagonal->inv_w_real[i]),
                        (double)diagonal->w_imag[i]);
  mode.B = ebb_c64_make((double)diagonal->B[2 * i], (double)diagonal->B[2 * i + 1]);
  mode.discrete =
      ebb_ssm_discretise(config->disc, ebb_c64_scale(mode.w, mode.dt), ebb_ssm_kernel_length(config));
  return mode;
}
/* What an input adds to the mode's state: B f. */
EBB_INLINE EbbC64 ebb_ssm_bbar(const EbbSsmMode *mode) {
  return ebb_c64_scale(ebb_c64_mul(mode->B, mode->discrete.phi), mode->dt);
}

/* Gradients of a mode's parameters from those of log lambda and of bbar. */
typedef struct EbbSsmModeGrad {
  EbbC64 w, B;
  double log_dt;
} EbbSsmModeGrad;
EBB_INLINE EbbSsmModeGrad ebb_ssm_mode_grad(const EbbSsmMode *mode, EbbC64 dlog, EbbC64 dbbar) {
  const EbbSsmDiscrete *d = &mode->discrete;
  EbbC64 slope = ebb_c64_scale(ebb_c64_mul(mode->B, d->dphi), mode->dt);
  EbbC64 dx = ebb_c64_add(ebb_c64_mul_conj(dlog, d->dlog), ebb_c64_mul_conj(dbbar, slope));
  EbbSsmModeGrad grad;
  grad.w = ebb_c64_scale(dx, mode->dt);
  grad.B = ebb_c64_scale(ebb_c64_mul_conj(dbbar, d->phi), mode->dt);
  grad.log_dt = mode->dt *
                (ebb_c64_mul_conj(dbbar, ebb_c64_mul(mode->B, d->phi)).re + ebb_c64_mul_conj(dx, mode->w).re);
  return grad;
}

/* Adds the gradients of w (total[0], [1]) and B (total[2], [3]), summed over the channels of a copy, to
   element i of (n_ssm,M). */
EBB_INLINE void ebb_ssm_diagonal_add(const EbbSsmDiagonal *diagonal, int64_t i, const double total[4]) {
  if (diagonal->dinv_w_real)
    diagonal->dinv_w_real[i] +=
        (float)(total[0] * ebb_ssm_real_grad(diagonal->config.real_type, (double)diagonal->inv_w_real[i]));
  if (diagonal->dw_imag) diagonal->dw_imag[i] += (float)total[1];
  if (!diagonal->dB) return;
  diagonal->dB[2 * i] += (float)total[2];
  diagonal->dB[2 * i + 1] += (float)total[3];
}

#ifdef __cplusplus
}
#endif
#endif
