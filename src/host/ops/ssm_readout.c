#include <string.h>

#include "host/ops/ssm_dplr.h"

/* States are kept every SEGMENT steps and recomputed between when the gradient runs backwards. */
enum { SEGMENT = 64 };

static int64_t segments(int64_t Lk) { return (Lk + SEGMENT - 1) / SEGMENT; }

/* A thread's scratch: vectors over M modes, the kept states, one segment's states. */
typedef struct Readout {
  EbbDplrLanes lanes;
  EbbC64x8 *e, *x;             /* (M) */
  EbbC64x8 *da, *de, *adjoint; /* (M) */
  EbbC64x8 *dr, *dq;           /* (rank, M) */
  EbbC64x8 *kept;              /* (segments, M) */
  EbbC64x8 *states;            /* (SEGMENT, M) */
} Readout;

/* Vectors before the kept states. */
static int64_t vectors(int64_t rank) { return ebb_dplr_vectors(rank) + 5 + 2 * rank; }

size_t ebb_dplr_readout_bytes(const EbbSsmNplrArgs *args) {
  int64_t count = vectors(ebb_ssm_rank(&args->config)) + segments(args->Lk) + SEGMENT;
  return (size_t)(count * args->M) * sizeof(EbbC64x8);
}

static Readout place(const EbbSsmNplrArgs *args, int64_t h0, void *scratch) {
  int64_t M = args->M, rank = ebb_ssm_rank(&args->config);
  EbbC64x8 *all = scratch, *at = all + ebb_dplr_vectors(rank) * M;
  Readout out = {.lanes = ebb_dplr_place(args, all),
                 .e = at,
                 .x = at + M,
                 .da = at + 2 * M,
                 .de = at + 3 * M,
                 .adjoint = at + 4 * M,
                 .dr = at + 5 * M,
                 .dq = at + (5 + rank) * M,
                 .kept = all + vectors(rank) * M,
                 .states = all + (vectors(rank) + segments(args->Lk)) * M};
  ebb_dplr_lanes(args, h0, &out.lanes);
  memset(out.e, 0, (size_t)M * sizeof *out.e);
  for (int lane = 0; lane < EBB_F64X8 && h0 + lane < args->config.H; lane++)
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
  EbbF64x8 s[2], value;
  ebb_dplr_dots(lanes, lanes->q, now.x, s);
  for (int64_t l = 0; l < args->Lk; l++) {
    ebb_dplr_dot(args->M, now.e, now.x, &value);
    for (int lane = 0; lane < EBB_F64X8 && h0 + lane < args->config.H; lane++)
      args->ke[(h0 + lane) * args->Lk + l] = (float)value[lane];
    ebb_dplr_step(lanes, lanes->r, lanes->q, now.x, now.x, s);
  }
}

static void upstream(const EbbSsmNplrArgs *args, int64_t h0, int64_t l, EbbF64x8 *value) {
  *value = (EbbF64x8){0};
  for (int lane = 0; lane < EBB_F64X8 && h0 + lane < args->config.H; lane++)
    (*value)[lane] = (double)args->dke[(h0 + lane) * args->Lk + l];
}

static void keep_states(const EbbSsmNplrArgs *args, const Readout *now) {
  const EbbDplrLanes *lanes = &now->lanes;
  EbbF64x8 s[2];
  ebb_dplr_dots(lanes, lanes->q, now->x, s);
  for (int64_t l = 0; l < args->Lk; l++) {
    if (l % SEGMENT == 0) memcpy(now->kept + l / SEGMENT * args->M, now->x, (size_t)args->M * sizeof *now->x);
    ebb_dplr_step(lanes, lanes->r, lanes->q, now->x, now->x, s);
  }
}

/* to += a conj(b), to += a s */
static void add_mul_conj(EbbC64x8 *to, const EbbC64x8 *a, const EbbC64x8 *b) {
  to->re += a->re * b->re + a->im * b->im;
  to->im += a->im * b->re - a->re * b->im;
}
static void add_scaled(EbbC64x8 *to, const EbbC64x8 *a, const EbbF64x8 *s) {
  to->re += a->re * *s;
  to->im += a->im * *s;
}
static void add_conj_scaled(EbbC64x8 *to, const EbbC64x8 *a, const EbbF64x8 *s) {
  to->re += a->re * *s;
  to->im -= a->im * *s;
}

/* One step back: adjoint holds the gradient of x_{l+1} and ds those of s_l; leaves those of x_l and s_{l-1}.
   x_{l+1} = a x_l - sum_j r_j s_lj, s_lj = 2 Re sum q_j x_l; ke_l = 2 Re sum e x_l. The rank is a constant
   where this is inlined. */
EBB_INLINE void step_back(const Readout *now, int rank, const EbbC64x8 *x, const EbbF64x8 *s,
                          const EbbF64x8 *dke, EbbF64x8 *ds) {
  const EbbDplrLanes *lanes = &now->lanes;
  int64_t M = lanes->M;
  EbbF64x8 minus_s[2], twice_ds[2], twice_dke = *dke + *dke, before[2] = {{0}, {0}};
  for (int j = 0; j < rank; j++) minus_s[j] = -s[j], twice_ds[j] = ds[j] + ds[j];
  for (int64_t m = 0; m < M; m++) {
    EbbC64x8 next = now->adjoint[m], to;
    add_mul_conj(&now->da[m], &next, &x[m]);
    to.re = next.re * lanes->a[m].re + next.im * lanes->a[m].im;
    to.im = next.im * lanes->a[m].re - next.re * lanes->a[m].im;
    for (int j = 0; j < rank; j++) {
      add_scaled(&now->dr[j * M + m], &next, &minus_s[j]);
      add_conj_scaled(&now->dq[j * M + m], &x[m], &twice_ds[j]);
      add_conj_scaled(&to, &lanes->q[j * M + m], &twice_ds[j]);
    }
    add_conj_scaled(&to, &now->e[m], &twice_dke);
    now->adjoint[m] = to;
    for (int j = 0; j < rank; j++)
      before[j] -= to.re * lanes->r[j * M + m].re + to.im * lanes->r[j * M + m].im;
  }
  for (int j = 0; j < rank; j++) ds[j] = before[j];
}

static void e_back(const Readout *now, const EbbC64x8 *x, const EbbF64x8 *dke) {
  EbbF64x8 twice = *dke + *dke;
  for (int64_t m = 0; m < now->lanes.M; m++) add_conj_scaled(&now->de[m], &x[m], &twice);
}

/* s at one step. */
typedef struct Feedback {
  EbbF64x8 s[2];
} Feedback;

/* The states of one segment and their s, from the kept first one. */
static void recompute(const Readout *now, int64_t segment, int64_t count, Feedback *all) {
  const EbbDplrLanes *lanes = &now->lanes;
  int64_t M = lanes->M;
  memcpy(now->states, now->kept + segment * M, (size_t)M * sizeof *now->states);
  ebb_dplr_dots(lanes, lanes->q, now->states, all[0].s);
  for (int64_t i = 1; i < count; i++) {
    all[i] = all[i - 1];
    ebb_dplr_step(lanes, lanes->r, lanes->q, now->states + (i - 1) * M, now->states + i * M, all[i].s);
  }
}

static void run_back(const EbbSsmNplrArgs *args, int64_t h0, const Readout *now) {
  int64_t M = args->M, rank = now->lanes.rank;
  Feedback all[SEGMENT];
  EbbF64x8 ds[2] = {{0}, {0}}, dke;
  memset(now->da, 0,
         (size_t)((3 + 2 * rank) * M) * sizeof *now->da); /* all gradients lie behind each other */
  for (int64_t segment = segments(args->Lk) - 1; segment >= 0; segment--) {
    int64_t begin = segment * SEGMENT, end = begin + SEGMENT < args->Lk ? begin + SEGMENT : args->Lk;
    recompute(now, segment, end - begin, all);
    for (int64_t l = end - 1; l >= begin; l--) {
      const EbbC64x8 *x = now->states + (l - begin) * M;
      upstream(args, h0, l, &dke);
      if (rank == 1)
        step_back(now, 1, x, all[l - begin].s, &dke, ds);
      else
        step_back(now, 2, x, all[l - begin].s, &dke, ds);
      if (args->de) e_back(now, x, &dke);
    }
  }
}

static EbbC64 lane_of(const EbbC64x8 *z, int lane) { return ebb_c64_make(z->re[lane], z->im[lane]); }

/* A channel's dt and what the chain rule needs through kappa and s_B. */
typedef struct Chain {
  int64_t rank;
  double dt, sB[2], dsB[2], kappa[4], dkappa[4], dG[4];
} Chain;

/* One mode: d = 1 / (1 - dt w / 2), the gradients of x0 = Bbar and of every r, through x0 too. */
typedef struct Mode {
  EbbC64 w, d, B, P[2], dx0, dr[2];
} Mode;

static Mode mode_of(const EbbSsmNplrArgs *args, int64_t h, int64_t m, int lane, const Chain *chain,
                    const Readout *now) {
  Mode mode = {.dx0 = lane_of(&now->adjoint[m], lane)};
  ebb_ssm_nplr_mode(args, h, m, &mode.w, &mode.B, mode.P);
  mode.d = ebb_dplr_inverse(mode.w, chain->dt);
  for (int64_t j = 0; j < chain->rank; j++)
    mode.dr[j] = ebb_c64_sub(lane_of(&now->dr[j * args->M + m], lane),
                             ebb_c64_scale(mode.dx0, 0.5 * chain->dt * chain->sB[j]));
  return mode;
}

/* c = a b, or a b^T or a^T b, of rank^2 values. */
static void multiply(int64_t rank, const double *a, const double *b, bool a_turned, bool b_turned,
                     double *c) {
  for (int64_t i = 0; i < rank; i++)
    for (int64_t j = 0; j < rank; j++) {
      c[i * rank + j] = 0;
      for (int64_t l = 0; l < rank; l++)
        c[i * rank + j] +=
            a[a_turned ? l * rank + i : i * rank + l] * b[b_turned ? j * rank + l : l * rank + j];
    }
}

static Chain chain_of(const EbbSsmNplrArgs *args, int64_t h, int lane, const Readout *now) {
  Chain chain = {.rank = now->lanes.rank, .dt = exp((double)args->log_dt[h]) * args->config.rate};
  int64_t rank = chain.rank;
  double G[4] = {0}, product[4];
  for (int64_t m = 0; m < args->M; m++) {
    Mode mode = mode_of(args, h, m, lane, &chain, now);
    for (int64_t j = 0; j < rank; j++) {
      EbbC64 q = lane_of(&now->lanes.q[j * args->M + m], lane),
             r = lane_of(&now->lanes.r[j * args->M + m], lane);
      chain.dsB[j] -= 0.5 * chain.dt * ebb_c64_mul_conj(mode.dx0, r).re;
      for (int64_t i = 0; i < rank; i++) G[j * rank + i] += 2 * ebb_c64_mul(q, mode.P[i]).re;
    }
  }
  for (int64_t m = 0; m < args->M; m++) {
    EbbC64 w, B, P[2];
    ebb_ssm_nplr_mode(args, h, m, &w, &B, P);
    for (int64_t j = 0; j < rank; j++)
      chain.sB[j] += 2 * ebb_c64_mul(lane_of(&now->lanes.q[j * args->M + m], lane), B).re;
  }
  ebb_dplr_kappa(rank, chain.dt, G, chain.kappa);
  for (int64_t m = 0; m < args->M; m++) {
    Mode mode = mode_of(args, h, m, lane, &chain, now);
    for (int64_t i = 0; i < rank; i++)
      for (int64_t j = 0; j < rank; j++)
        chain.dkappa[i * rank + j] += ebb_c64_mul_conj(mode.dr[j], ebb_c64_mul(mode.d, mode.P[i])).re;
  }
  multiply(rank, chain.kappa, chain.dkappa, true, false, product);
  multiply(rank, product, chain.kappa, false, true, chain.dG);
  for (int64_t i = 0; i < rank * rank; i++) chain.dG[i] *= -0.5;
  return chain;
}

/* Gradients of one mode's d, B and P. */
typedef struct ModeGrad {
  EbbC64 d, B, P[2];
} ModeGrad;

/* Column j: through r_j = d sum_i P_i kappa_ij, q_j = conj(P_j) d, s_Bj and the G_ij. */
static void column_grad(const Chain *chain, const Mode *mode, int64_t j, EbbC64 q, EbbC64 dq,
                        ModeGrad *grad) {
  int64_t rank = chain->rank;
  EbbC64 d = mode->d, into = {0, 0};
  dq = ebb_c64_add(dq, ebb_c64_scale(ebb_c64_conj(mode->B), 2 * chain->dsB[j]));
  grad->B = ebb_c64_add(grad->B, ebb_c64_scale(ebb_c64_conj(q), 2 * chain->dsB[j]));
  grad->P[j] = ebb_c64_add(grad->P[j], ebb_c64_mul_conj(d, dq));
  grad->d = ebb_c64_add(grad->d, ebb_c64_mul(dq, mode->P[j]));
  for (int64_t i = 0; i < rank; i++) {
    double kappa = chain->kappa[i * rank + j], twice_dG = 2 * chain->dG[i * rank + j];
    EbbC64 P = mode->P[i];
    into = ebb_c64_add(into, ebb_c64_scale(P, kappa));
    grad->P[i] = ebb_c64_add(grad->P[i], ebb_c64_scale(ebb_c64_mul_conj(mode->dr[j], d), kappa));
    grad->P[i] = ebb_c64_add(grad->P[i], ebb_c64_scale(ebb_c64_mul(d, mode->P[j]), twice_dG));
    grad->P[j] = ebb_c64_add(grad->P[j], ebb_c64_scale(ebb_c64_mul_conj(P, d), twice_dG));
    grad->d = ebb_c64_add(grad->d, ebb_c64_scale(ebb_c64_mul_conj(P, mode->P[j]), twice_dG));
  }
  grad->d = ebb_c64_add(grad->d, ebb_c64_mul_conj(mode->dr[j], into));
}

/* The chain from a, r, q, x0 of one mode to w, B, P (added to shared); returns the share of d dt.
   a = 2 d - 1, x0 = dt d B - (dt / 2) sum_j s_Bj r_j. */
static double chain_mode(const EbbSsmNplrArgs *args, int64_t h, int64_t m, int lane, const Chain *chain,
                         const Readout *now) {
  int64_t M = args->M, shares = 4 + 2 * chain->rank;
  double dt = chain->dt;
  Mode mode = mode_of(args, h, m, lane, chain, now);
  ModeGrad grad = {.B = ebb_c64_scale(ebb_c64_mul_conj(mode.dx0, mode.d), dt)};
  grad.d = ebb_c64_add(ebb_c64_scale(ebb_c64_mul_conj(mode.dx0, mode.B), dt),
                       ebb_c64_scale(lane_of(&now->da[m], lane), 2));
  EbbC64 direct = ebb_c64_mul(mode.d, mode.B);
  for (int64_t j = 0; j < chain->rank; j++) {
    column_grad(chain, &mode, j, lane_of(&now->lanes.q[j * M + m], lane), lane_of(&now->dq[j * M + m], lane),
                &grad);
    direct = ebb_c64_sub(direct, ebb_c64_scale(lane_of(&now->lanes.r[j * M + m], lane), 0.5 * chain->sB[j]));
  }
  EbbC64 inner = ebb_c64_mul_conj(grad.d, ebb_c64_mul(mode.d, mode.d)), dw = ebb_c64_scale(inner, 0.5 * dt);
  double *shared = args->shared + (h * M + m) * shares;
  const double share[8] = {dw.re,        dw.im,        grad.B.re,    grad.B.im,
                           grad.P[0].re, grad.P[0].im, grad.P[1].re, grad.P[1].im};
  for (int64_t i = 0; i < shares; i++) shared[i] += share[i];
  return ebb_c64_mul_conj(mode.dx0, direct).re + 0.5 * ebb_c64_mul_conj(inner, mode.w).re;
}

/* The share of d dt through kappa, whose derivative with G fixed is kappa^2 / dt^2. */
static double kappa_share(const Chain *chain) {
  double square[4] = {0}, sum = 0;
  multiply(chain->rank, chain->kappa, chain->kappa, false, false, square);
  for (int64_t i = 0; i < chain->rank * chain->rank; i++) sum += chain->dkappa[i] * square[i];
  return sum / (chain->dt * chain->dt);
}

static void chain_lane(const EbbSsmNplrArgs *args, int64_t h, int lane, const Readout *now) {
  Chain chain = chain_of(args, h, lane, now);
  double ddt = kappa_share(&chain);
  for (int64_t m = 0; m < args->M; m++) {
    ddt += chain_mode(args, h, m, lane, &chain, now);
    if (!args->de) continue;
    args->de[2 * (h * args->M + m)] += (float)now->de[m].re[lane];
    args->de[2 * (h * args->M + m) + 1] += (float)now->de[m].im[lane];
  }
  if (args->dlog_dt) args->dlog_dt[h] += (float)(chain.dt * ddt);
}

void ebb_dplr_readout_grad(const EbbSsmNplrArgs *args, int64_t h0, void *scratch) {
  Readout now = place(args, h0, scratch);
  keep_states(args, &now);
  run_back(args, h0, &now);
  for (int lane = 0; lane < EBB_F64X8 && h0 + lane < args->config.H; lane++)
    chain_lane(args, h0 + lane, lane, &now);
}
