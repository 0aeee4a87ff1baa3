#include <string.h>

#include "host/ops/ssm_dplr.h"

/* States are kept every SEGMENT steps and recomputed between when the gradient runs backwards. */
enum { SEGMENT = 64 };

static int64_t segments(int64_t Lk) { return (Lk + SEGMENT - 1) / SEGMENT; }

/* A thread's scratch: vectors over M modes, the kept states, one segment's states and its s. */
typedef struct Readout {
  EbbDplrLanes lanes;
  EbbLanes2 *e, *x;             /* (M) */
  EbbLanes2 *da, *dr, *dq, *de; /* (M) */
  EbbLanes2 *adjoint;           /* (M) */
  EbbLanes2 *kept;              /* (segments, M) */
  EbbLanes2 *states;            /* (SEGMENT, M) */
} Readout;

size_t ebb_dplr_readout_bytes(int64_t M, int64_t Lk) {
  return (size_t)((11 + segments(Lk) + SEGMENT) * M) * sizeof(EbbLanes2);
}

static Readout place(const EbbSsmNplrArgs *args, int64_t h0, void *scratch) {
  int64_t M = args->M;
  EbbLanes2 *at = scratch;
  Readout out = {.lanes = {M, at, at + M, at + 2 * M, at + 3 * M},
                 .e = at + 4 * M,
                 .x = at + 5 * M,
                 .da = at + 6 * M,
                 .dr = at + 7 * M,
                 .dq = at + 8 * M,
                 .de = at + 9 * M,
                 .adjoint = at + 10 * M,
                 .kept = at + 11 * M,
                 .states = at + (11 + segments(args->Lk)) * M};
  ebb_dplr_lanes(args, h0, &out.lanes);
  memset(out.e, 0, (size_t)M * sizeof *out.e);
  for (int lane = 0; lane < EBB_LANES && h0 + lane < args->config.H; lane++)
    for (int64_t m = 0; m < M; m++) {
      const float *e = args->e ? args->e + 2 * ((h0 + lane) * M + m) : NULL;
      out.e[m].re[lane] = e ? (double)e[0] : 1;
      out.e[m].im[lane] = e ? (double)e[1] : 0;
    }
  memcpy(out.x, out.lanes.x0, (size_t)M * sizeof *out.x);
  return out;
}

void ebb_dplr_readout(const EbbSsmNplrArgs *args, int64_t h0, void *scratch) {
  Readout now = place(args, h0, scratch);
  const EbbDplrLanes *lanes = &now.lanes;
  EbbLanes s, value;
  ebb_dplr_dot(args->M, lanes->q, now.x, &s);
  for (int64_t l = 0; l < args->Lk; l++) {
    ebb_dplr_dot(args->M, now.e, now.x, &value);
    for (int lane = 0; lane < EBB_LANES && h0 + lane < args->config.H; lane++)
      args->ke[(h0 + lane) * args->Lk + l] = (float)value[lane];
    ebb_dplr_step(args->M, lanes->a, lanes->r, lanes->q, now.x, now.x, &s);
  }
}

static void upstream(const EbbSsmNplrArgs *args, int64_t h0, int64_t l, EbbLanes *value) {
  *value = (EbbLanes){0};
  for (int lane = 0; lane < EBB_LANES && h0 + lane < args->config.H; lane++)
    (*value)[lane] = (double)args->dke[(h0 + lane) * args->Lk + l];
}

static void keep_states(const EbbSsmNplrArgs *args, const Readout *now) {
  const EbbDplrLanes *lanes = &now->lanes;
  EbbLanes s;
  ebb_dplr_dot(args->M, lanes->q, now->x, &s);
  for (int64_t l = 0; l < args->Lk; l++) {
    if (l % SEGMENT == 0) memcpy(now->kept + l / SEGMENT * args->M, now->x, (size_t)args->M * sizeof *now->x);
    ebb_dplr_step(args->M, lanes->a, lanes->r, lanes->q, now->x, now->x, &s);
  }
}

/* to += a conj(b), to += a s */
static void add_mul_conj(EbbLanes2 *to, const EbbLanes2 *a, const EbbLanes2 *b) {
  to->re += a->re * b->re + a->im * b->im;
  to->im += a->im * b->re - a->re * b->im;
}
static void add_scaled(EbbLanes2 *to, const EbbLanes2 *a, const EbbLanes *s) {
  to->re += a->re * *s;
  to->im += a->im * *s;
}
static void add_conj_scaled(EbbLanes2 *to, const EbbLanes2 *a, const EbbLanes *s) {
  to->re += a->re * *s;
  to->im -= a->im * *s;
}

/* One step back: adjoint holds the gradient of x_{l+1} and *ds that of s_l; leaves those of x_l and s_{l-1}.
   x_{l+1} = a x_l - r s_l, s_l = 2 Re sum q x_l; ke_l = 2 Re sum e x_l. */
static void step_back(const Readout *now, const EbbLanes2 *x, const EbbLanes *s, const EbbLanes *dke,
                      EbbLanes *ds) {
  const EbbDplrLanes *lanes = &now->lanes;
  EbbLanes minus_s = -*s, twice_ds = *ds + *ds, twice_dke = *dke + *dke, before = {0};
  for (int64_t m = 0; m < lanes->M; m++) {
    EbbLanes2 next = now->adjoint[m], to;
    add_mul_conj(&now->da[m], &next, &x[m]);
    add_scaled(&now->dr[m], &next, &minus_s);
    add_conj_scaled(&now->dq[m], &x[m], &twice_ds);
    to.re = next.re * lanes->a[m].re + next.im * lanes->a[m].im;
    to.im = next.im * lanes->a[m].re - next.re * lanes->a[m].im;
    add_conj_scaled(&to, &lanes->q[m], &twice_ds);
    add_conj_scaled(&to, &now->e[m], &twice_dke);
    now->adjoint[m] = to;
    before -= to.re * lanes->r[m].re + to.im * lanes->r[m].im;
  }
  *ds = before;
}

static void e_back(const Readout *now, const EbbLanes2 *x, const EbbLanes *dke) {
  EbbLanes twice = *dke + *dke;
  for (int64_t m = 0; m < now->lanes.M; m++) add_conj_scaled(&now->de[m], &x[m], &twice);
}

/* The states of one segment and their s, from the kept first one. */
static void recompute(const Readout *now, int64_t segment, int64_t count, EbbLanes s[SEGMENT]) {
  const EbbDplrLanes *lanes = &now->lanes;
  int64_t M = lanes->M;
  memcpy(now->states, now->kept + segment * M, (size_t)M * sizeof *now->states);
  ebb_dplr_dot(M, lanes->q, now->states, &s[0]);
  for (int64_t i = 1; i < count; i++) {
    s[i] = s[i - 1];
    ebb_dplr_step(M, lanes->a, lanes->r, lanes->q, now->states + (i - 1) * M, now->states + i * M, &s[i]);
  }
}

static void run_back(const EbbSsmNplrArgs *args, int64_t h0, const Readout *now) {
  int64_t M = args->M;
  EbbLanes s[SEGMENT], ds = {0}, dke;
  memset(now->da, 0, 5 * (size_t)M * sizeof *now->da); /* da, dr, dq, de, adjoint lie behind each other */
  for (int64_t segment = segments(args->Lk) - 1; segment >= 0; segment--) {
    int64_t begin = segment * SEGMENT, end = begin + SEGMENT < args->Lk ? begin + SEGMENT : args->Lk;
    recompute(now, segment, end - begin, s);
    for (int64_t l = end - 1; l >= begin; l--) {
      const EbbLanes2 *x = now->states + (l - begin) * M;
      upstream(args, h0, l, &dke);
      step_back(now, x, &s[l - begin], &dke, &ds);
      if (args->de) e_back(now, x, &dke);
    }
  }
}

static EbbC64 lane_of(const EbbLanes2 *z, int lane) { return ebb_c64_make(z->re[lane], z->im[lane]); }

/* Sums over the modes that the chain rule through kappa and s_B needs. */
typedef struct ChainSums {
  double g, sB, dsB, dkappa;
} ChainSums;

static ChainSums chain_sums(const EbbSsmNplrArgs *args, int64_t h, int lane, double dt, const Readout *now) {
  ChainSums sums = {0, 0, 0, 0};
  for (int64_t m = 0; m < args->M; m++) {
    EbbC64 w, B, P;
    ebb_ssm_nplr_mode(args, h, m, &w, &B, &P);
    EbbC64 d = ebb_dplr_inverse(w, dt);
    sums.g += 2 * ebb_c64_norm2(P) * d.re;
    sums.sB += 2 * ebb_c64_mul(lane_of(&now->lanes.q[m], lane), B).re;
    sums.dsB -=
        0.5 * dt * ebb_c64_mul_conj(lane_of(&now->adjoint[m], lane), lane_of(&now->lanes.r[m], lane)).re;
  }
  for (int64_t m = 0; m < args->M; m++) {
    EbbC64 w, B, P;
    ebb_ssm_nplr_mode(args, h, m, &w, &B, &P);
    EbbC64 dr = ebb_c64_sub(lane_of(&now->dr[m], lane),
                            ebb_c64_scale(lane_of(&now->adjoint[m], lane), 0.5 * dt * sums.sB));
    sums.dkappa += ebb_c64_mul_conj(dr, ebb_c64_mul(ebb_dplr_inverse(w, dt), P)).re;
  }
  return sums;
}

/* The chain from a, r, q, x0 of one mode to w, B, P (added to shared); returns the share of d dt.
   r = kappa d P, q = conj(P) d, a = 2 d - 1, x0 = dt d B - (dt / 2) s_B r. */
static double chain_mode(const EbbSsmNplrArgs *args, int64_t h, int64_t m, int lane, double dt,
                         const ChainSums *sums, const Readout *now) {
  EbbC64 w, B, P;
  ebb_ssm_nplr_mode(args, h, m, &w, &B, &P);
  double kappa = ebb_dplr_kappa(dt, sums->g), dg = -0.5 * kappa * kappa * sums->dkappa;
  EbbC64 d = ebb_dplr_inverse(w, dt), q = lane_of(&now->lanes.q[m], lane),
         r = lane_of(&now->lanes.r[m], lane);
  EbbC64 dx0 = lane_of(&now->adjoint[m], lane);
  EbbC64 dr = ebb_c64_sub(lane_of(&now->dr[m], lane), ebb_c64_scale(dx0, 0.5 * dt * sums->sB));
  EbbC64 dq = ebb_c64_add(lane_of(&now->dq[m], lane), ebb_c64_scale(ebb_c64_conj(B), 2 * sums->dsB));
  EbbC64 dB =
      ebb_c64_add(ebb_c64_scale(ebb_c64_mul_conj(dx0, d), dt), ebb_c64_scale(ebb_c64_conj(q), 2 * sums->dsB));
  EbbC64 dP = ebb_c64_add(ebb_c64_scale(ebb_c64_mul_conj(dr, d), kappa), ebb_c64_mul_conj(d, dq));
  dP = ebb_c64_add(dP, ebb_c64_scale(P, 4 * d.re * dg));
  EbbC64 dd =
      ebb_c64_add(ebb_c64_scale(ebb_c64_mul_conj(dx0, B), dt), ebb_c64_scale(ebb_c64_mul_conj(dr, P), kappa));
  dd = ebb_c64_add(dd, ebb_c64_add(ebb_c64_mul(dq, P), ebb_c64_scale(lane_of(&now->da[m], lane), 2)));
  dd.re += 2 * ebb_c64_norm2(P) * dg;
  EbbC64 inner = ebb_c64_mul_conj(dd, ebb_c64_mul(d, d)), dw = ebb_c64_scale(inner, 0.5 * dt);
  double *shared = args->shared + (h * args->M + m) * 6;
  const double share[6] = {dw.re, dw.im, dB.re, dB.im, dP.re, dP.im};
  for (int i = 0; i < 6; i++) shared[i] += share[i];
  EbbC64 direct = ebb_c64_sub(ebb_c64_mul(d, B), ebb_c64_scale(r, 0.5 * sums->sB));
  return ebb_c64_mul_conj(dx0, direct).re + 0.5 * ebb_c64_mul_conj(inner, w).re;
}

static void chain_lane(const EbbSsmNplrArgs *args, int64_t h, int lane, const Readout *now) {
  double dt = exp((double)args->log_dt[h]) * args->config.rate;
  ChainSums sums = chain_sums(args, h, lane, dt, now);
  double kappa = ebb_dplr_kappa(dt, sums.g), ddt = sums.dkappa * kappa * kappa / (dt * dt);
  for (int64_t m = 0; m < args->M; m++) {
    ddt += chain_mode(args, h, m, lane, dt, &sums, now);
    if (!args->de) continue;
    args->de[2 * (h * args->M + m)] += (float)now->de[m].re[lane];
    args->de[2 * (h * args->M + m) + 1] += (float)now->de[m].im[lane];
  }
  if (args->dlog_dt) args->dlog_dt[h] += (float)(dt * ddt);
}

void ebb_dplr_readout_grad(const EbbSsmNplrArgs *args, int64_t h0, void *scratch) {
  Readout now = place(args, h0, scratch);
  keep_states(args, &now);
  run_back(args, h0, &now);
  for (int lane = 0; lane < EBB_LANES && h0 + lane < args->config.H; lane++)
    chain_lane(args, h0 + lane, lane, &now);
}
