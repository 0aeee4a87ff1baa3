/* Op ssm_diag: the convolution kernel of a diagonal state-space model,
   k_l = 2 Re sum_m B_m C_m f_m lambda_m^l for l < Lk, with x = w dt, f = dt phi(x) and lambda(x) by the
   discretisation:
     bilinear  lambda = (1 + x/2) / (1 - x/2), phi = 1 / (1 - x/2)
     zoh       lambda = e^x, phi = (e^x - 1) / x
     dss       lambda = e^x, phi = (e^x - 1) / (2 x (e^(x Lk) - 1))
   Source: Gu et al. 2022, arXiv 2206.11893, section 3; Gupta et al. 2022, arXiv 2203.14343 (dss). */
#ifndef EBB_OPS_SSM_DIAG_H
#define EBB_OPS_SSM_DIAG_H

#include "ebb/ops/ssm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Config: EbbSsmConfig. No inputs. Outputs k (C,H,Lk) and, with a readout, ke (H,Lk): the same with e for C.
   Rows of a channel: its C kernels, then ke, R in all. Powers are split as l = i width + j, i < blocks. */
typedef struct EbbSsmDiagArgs {
  EbbSsmConfig config;
  int64_t M, Lk, R, blocks, width;
  const float *C;                                        /* (C,H,M,2) */
  const float *log_dt;                                   /* (H) */
  const float *B;                                        /* (n_ssm,M,2) */
  const float *inv_w_real, *w_imag;                      /* (n_ssm,M) */
  const float *e;                                        /* (H,M,2), NULL unless learned */
  float *dC, *dlog_dt, *dB, *dinv_w_real, *dw_imag, *de; /* as their values, or NULL; added to */
  float *k, *ke;                                         /* outputs; ke NULL without a readout */
  const float *dk, *dke;                                 /* their gradients, or NULL */
  double *shared; /* scratch (H,M,4): gradients of w and B a channel, before the copies' sum */
  char *scratch;  /* scratch_row bytes a thread */
  size_t scratch_row;
} EbbSsmDiagArgs;

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

/* Channel h's copy of the shared parameters, in double. */
EBB_INLINE void ebb_ssm_diag_mode(const EbbSsmDiagArgs *args, int64_t h, int64_t m, EbbC64 *w, EbbC64 *B) {
  int64_t i = h % ebb_ssm_copies(&args->config) * args->M + m;
  *w = ebb_c64_make(ebb_ssm_real(args->config.real_type, 1e-4, (double)args->inv_w_real[i]),
                    (double)args->w_imag[i]);
  *B = ebb_c64_make((double)args->B[2 * i], (double)args->B[2 * i + 1]);
}

#ifdef __cplusplus
}
#endif
#endif
