/* The exact diagonal liquid recurrence: u (B, H, L), [lengths (B)] -> y (B, H, L),
     x_m[t] = g_m x_m[t-1] + bbar_m u_t,  g_m = abar_m + bbar_m u_t,  y = drop(act(2 Re sum_m C_m x_m + D u)),
   over the M stored modes, x[-1] = 0 and u_t = 0 for t >= lengths[b]. With a bound r > 0, g_m is scaled by
   min(1, r / |g_m|), which keeps long sequences from growing without end. abar, bbar: bilinear or zero-order
   hold of the parameters of ssm_diag, from which the initial values come too. Source: Hasani et al. 2022,
   "Liquid Structural State-Space Models", equation 6, with diag(bbar) as the input-dependent transition. */
#ifndef EBB_OPS_S4_SCAN_H
#define EBB_OPS_S4_SCAN_H

#include "ebb/ops/s4_epilogue.h"
#include "ebb/ops/ssm_diag.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbS4ScanConfig {
  EbbSsmConfig ssm;   /* channels 1; disc BILINEAR or ZOH; readout and l_max are not read */
  double contraction; /* r; 0: none */
  EbbS4EpilogueConfig epilogue;
} EbbS4ScanConfig;

/* All pointers are disjoint device memory of the graph. Rows (b, h) go in groups of R rows times 64 / R
   modes, from units of K channels that belong to one thread; more than 64 modes go in parts of 64. */
typedef struct EbbS4ScanArgs {
  EbbSsmConfig config;
  float bound;
  const float *u;                                    /* (B, H, L), read again by backward */
  float *du;                                         /* (B, H, L) or NULL */
  const int32_t *lengths;                            /* (B) or NULL */
  bool add_du;                                       /* add to what is there, else overwrite */
  float *y;                                          /* (B, H, L) */
  const float *dy;                                   /* (B, H, L) */
  const float *C, *log_dt, *B, *inv_w_real, *w_imag; /* (1,H,M,2), (H), (n_ssm,M,2), (n_ssm,M), (n_ssm,M) */
  float *dC, *dlog_dt, *dB, *dinv_w_real, *dw_imag;  /* the same, or NULL; added to */
  EbbS4Epilogue epilogue;
  int64_t batch, H, L, M;
  int64_t R, K, parts, groups; /* rows a group, channels a unit, parts of 64 modes, groups a unit */
  int64_t interval, checks;    /* steps between kept states, kept states a row */
  float *states;               /* (units, groups, parts, checks, 2, 64) forward to backward; NULL: not kept */
  double *sums;                /* (H, M, 6) scratch of backward: gradients of abar, bbar, C */
  char *work;                  /* work_bytes a thread, scratch */
  size_t work_bytes;
} EbbS4ScanArgs;

/* g before the bound. */
EBB_INLINE EbbC32 ebb_scan_gate(EbbC32 a, EbbC32 b, float u) {
  return ebb_c32_make(a.re + b.re * u, a.im + b.im * u);
}

/* min(1, r / |g|). */
EBB_INLINE float ebb_scan_factor(EbbC32 g, float r) {
  float size = sqrtf(ebb_c32_norm2(g));
  return size > r ? r / size : 1.0f;
}

/* dL/dg before the bound from dg = dL/d(factor g): what points along g is lost where the bound holds. */
EBB_INLINE EbbC32 ebb_scan_factor_grad(EbbC32 g, float r, EbbC32 dg) {
  float size2 = ebb_c32_norm2(g), factor = ebb_scan_factor(g, r);
  float along = factor < 1.0f ? (g.re * dg.re + g.im * dg.im) / size2 : 0.0f;
  return ebb_c32_make(factor * (dg.re - along * g.re), factor * (dg.im - along * g.im));
}

/* x[t] from x[t-1]. */
EBB_INLINE EbbC32 ebb_scan_step(EbbC32 g, EbbC32 b, float u, EbbC32 x) {
  return ebb_c32_make(g.re * x.re - g.im * x.im + b.re * u, g.re * x.im + g.im * x.re + b.im * u);
}

/* One mode of a channel in double: dt, w, B and the discretisation at x = w dt. */
typedef struct EbbScanMode {
  double dt;
  EbbC64 w, B;
  EbbSsmDiscrete discrete;
} EbbScanMode;
EBB_INLINE EbbScanMode ebb_scan_mode(const EbbS4ScanArgs *args, int64_t h, int64_t m) {
  const int64_t i = h % ebb_ssm_copies(&args->config) * args->M + m;
  EbbScanMode mode;
  mode.dt = exp((double)args->log_dt[h]) * args->config.rate;
  mode.w = ebb_c64_make(ebb_ssm_real(args->config.real_type, 1e-4, (double)args->inv_w_real[i]),
                        (double)args->w_imag[i]);
  mode.B = ebb_c64_make((double)args->B[2 * i], (double)args->B[2 * i + 1]);
  mode.discrete = ebb_ssm_discretise(args->config.disc, ebb_c64_scale(mode.w, mode.dt), args->L);
  return mode;
}
EBB_INLINE EbbC64 ebb_scan_bbar(const EbbScanMode *mode) {
  return ebb_c64_scale(ebb_c64_mul(mode->B, mode->discrete.phi), mode->dt);
}

/* Gradients of a mode's parameters from those of abar and bbar. */
typedef struct EbbScanModeGrad {
  double log_dt;
  EbbC64 w, B;
} EbbScanModeGrad;
EBB_INLINE EbbScanModeGrad ebb_scan_mode_grad(const EbbScanMode *mode, EbbC64 dabar, EbbC64 dbbar) {
  const EbbSsmDiscrete *d = &mode->discrete;
  EbbC64 slope = ebb_c64_scale(ebb_c64_mul(mode->B, d->dphi), mode->dt);
  EbbC64 dx =
      ebb_c64_add(ebb_c64_mul_conj(dabar, ebb_c64_mul(d->lambda, d->dlog)), ebb_c64_mul_conj(dbbar, slope));
  EbbScanModeGrad grad;
  grad.w = ebb_c64_scale(dx, mode->dt);
  grad.B = ebb_c64_scale(ebb_c64_mul_conj(dbbar, d->phi), mode->dt);
  grad.log_dt = mode->dt *
                (ebb_c64_mul_conj(dbbar, ebb_c64_mul(mode->B, d->phi)).re + ebb_c64_mul_conj(dx, mode->w).re);
  return grad;
}

#ifdef __cplusplus
}
#endif
#endif
