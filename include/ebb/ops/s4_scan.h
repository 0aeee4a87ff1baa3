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

/* How CUDA lays out the work: a row (b, h) has its modes in `lanes` lanes of a warp, `each` in a lane. With
   fewer than 32 lanes a row, a warp holds `rows` channels of one b; with 32, a row may have several warps.
   Lanes stay idle where there would be fewer than EBB_SCAN_WARPS warps, too few to keep a GPU busy. More than
   EBB_SCAN_PART modes take several launches, one a part. */
enum { EBB_SCAN_INTERVAL = 32, EBB_SCAN_PART = 512, EBB_SCAN_WARPS = 512, EBB_SCAN_SUMS = 1 << 20 };
typedef struct EbbScanLayout {
  int64_t lanes, each, warps, rows, parts;
  int64_t channel_groups;     /* groups of `rows` channels */
  int64_t splits, split_rows; /* backward: blocks a channel group, and batch rows that each goes through */
} EbbScanLayout;
EBB_INLINE EbbScanLayout ebb_scan_layout(int64_t batch, int64_t H, int64_t M) {
  EbbScanLayout layout = {4, 1, 1, 1, (M + EBB_SCAN_PART - 1) / EBB_SCAN_PART, 0, 0, 0};
  const int64_t part = EBB_SCAN_PART, modes = M < part ? M : part;
  while (layout.lanes < 32 && (layout.lanes < modes || batch * H * layout.lanes < 32 * EBB_SCAN_WARPS))
    layout.lanes *= 2;
  while (layout.each < 4 && layout.each * 32 < modes) layout.each *= 2;
  layout.warps = (modes + layout.lanes * layout.each - 1) / (layout.lanes * layout.each);
  layout.rows = 32 / layout.lanes;
  layout.channel_groups = (H + layout.rows - 1) / layout.rows;
  /* Sums take room for every split, so their number falls where modes and channels are many. */
  const int64_t most = EBB_SCAN_SUMS / (H * M) + 1;
  layout.split_rows = (batch + most - 1) / most;
  layout.splits = (batch + layout.split_rows - 1) / layout.split_rows;
  return layout;
}

/* All pointers are disjoint device memory of the graph. CPU: rows (b, h) go in groups of R rows times 64 / R
   modes, from units of K channels that belong to one thread; more than 64 modes go in parts of 64. */
typedef struct EbbS4ScanArgs {
  EbbSsmDiagonal diagonal;
  EbbDtype storage; /* of u, y, pre and their gradients */
  float bound;
  const float *u;         /* (B, H, L), read again by backward */
  float *du;              /* (B, H, L) or NULL */
  const int32_t *lengths; /* (B) or NULL */
  bool add_du;            /* add to what is there, else overwrite */
  float *y;               /* (B, H, L) */
  const float *dy;        /* (B, H, L) */
  const float *C;         /* (1,H,M,2) */
  float *dC;              /* the same, or NULL; added to */
  EbbS4Epilogue epilogue;
  int64_t batch, H, L, M;
  int64_t interval, checks; /* steps between kept states, kept states a row */
  float *states;            /* states before every interval, forward to backward; NULL: not kept. CPU (units,
                               groups, parts, checks, 2, 64), CUDA (parts, B, channel_groups, checks, warps,
                               each, 32, 2) */
  double *sums; /* scratch of backward: gradients of abar, bbar, C; CPU (H, M, 6), CUDA (splits, 6,
                   H, M) */
  /* CPU */
  int64_t R, K, parts, groups; /* rows a group, channels a unit, parts of 64 modes, groups a unit */
  char *work;                  /* work_bytes a thread, scratch */
  size_t work_bytes;
  /* CUDA */
  EbbScanLayout layout;
  float *constants; /* (H, M, 4) abar, bbar, forward to backward */
  float *carry;     /* (B, H, L) scratch: sum over the parts so far; NULL with one part */
  double *dD_sums;  /* (splits, H) scratch of backward */
  double *shared;   /* (5, H, M) scratch of backward: EbbSsmModeGrad of every channel */
} EbbS4ScanArgs;

/* g before the bound. */
EBB_INLINE EbbC32 ebb_scan_gate(EbbC32 a, EbbC32 b, float u) {
  return ebb_c32_make(a.re + b.re * u, a.im + b.im * u);
}

/* min(1, r / |g|). */
EBB_INLINE float ebb_scan_factor(EbbC32 g, float r) {
  float size2 = ebb_c32_norm2(g);
  return size2 > r * r ? r / sqrtf(size2) : 1.0f;
}

/* dL/dg before the bound from dg = dL/d(factor g): what points along g is lost where the bound holds. */
EBB_INLINE EbbC32 ebb_scan_factor_grad(EbbC32 g, float r, EbbC32 dg) {
  float size2 = ebb_c32_norm2(g), factor = ebb_scan_factor(g, r);
  float along = factor < 1.0f ? (g.re * dg.re + g.im * dg.im) / size2 : 0.0f;
  return ebb_c32_make(factor * (dg.re - along * g.re), factor * (dg.im - along * g.im));
}

/* x[t] from x[t-1]; b u stands first so that x waits for two fused products only. */
EBB_INLINE EbbC32 ebb_scan_step(EbbC32 g, EbbC32 b, float u, EbbC32 x) {
  return ebb_c32_make(b.re * u + g.re * x.re - g.im * x.im, b.im * u + g.re * x.im + g.im * x.re);
}

/* A mode's gradients from those of abar and bbar. */
EBB_INLINE EbbSsmModeGrad ebb_scan_mode_grad(const EbbSsmMode *mode, EbbC64 dabar, EbbC64 dbbar) {
  return ebb_ssm_mode_grad(mode, ebb_c64_mul_conj(dabar, mode->discrete.lambda), dbbar);
}

#ifdef __cplusplus
}
#endif
#endif
