#include <string.h>

#include "ebb/ops/ssm_dplr_grad.h"
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

/* The values of one mode in one lane, and their gradients without what comes through Bbar. */
static EbbDplrPart part_of(const EbbSsmNplrArgs *args, int64_t m, int lane, const Readout *now) {
  EbbDplrPart part = {.a = lane_of(&now->lanes.a[m], lane), .x0 = lane_of(&now->lanes.x0[m], lane)};
  for (int64_t j = 0; j < now->lanes.rank; j++) {
    part.r[j] = lane_of(&now->lanes.r[j * args->M + m], lane);
    part.q[j] = lane_of(&now->lanes.q[j * args->M + m], lane);
  }
  return part;
}
static EbbDplrPart grad_of(const EbbSsmNplrArgs *args, int64_t m, int lane, const Readout *now) {
  EbbDplrPart grad = {.a = lane_of(&now->da[m], lane), .x0 = lane_of(&now->adjoint[m], lane)};
  for (int64_t j = 0; j < now->lanes.rank; j++) {
    grad.r[j] = lane_of(&now->dr[j * args->M + m], lane);
    grad.q[j] = lane_of(&now->dq[j * args->M + m], lane);
  }
  return grad;
}

static EbbDplrChain chain_of(const EbbSsmNplrArgs *args, int64_t h, int lane, const Readout *now) {
  int64_t rank = ebb_ssm_rank(&args->config);
  EbbDplrChain chain = {.rank = rank, .dt = ebb_nplr_dt(args, h)};
  double G[4] = {0};
  for (int64_t m = 0; m < args->M; m++) {
    EbbDplrMode mode = ebb_dplr_mode(args, h, m, chain.dt);
    EbbDplrPart part = part_of(args, m, lane, now), grad = grad_of(args, m, lane, now);
    for (int64_t j = 0; j < rank; j++) {
      chain.sB[j] += ebb_dplr_input_term(&mode, j);
      chain.dsB[j] += ebb_dplr_input_grad_term(chain.dt, grad.x0, part.r[j]);
      for (int64_t i = 0; i < rank; i++) G[j * rank + i] += ebb_dplr_low_rank_term(&mode, j, i);
    }
  }
  ebb_dplr_kappa(rank, chain.dt, G, chain.kappa);
  for (int64_t m = 0; m < args->M; m++) {
    EbbDplrMode mode = ebb_dplr_mode(args, h, m, chain.dt);
    EbbDplrPart grad = grad_of(args, m, lane, now);
    ebb_dplr_through_input(&chain, &grad);
    for (int64_t i = 0; i < rank; i++)
      for (int64_t j = 0; j < rank; j++)
        chain.dkappa[i * rank + j] += ebb_dplr_kappa_grad_term(&mode, i, grad.r[j]);
  }
  ebb_dplr_kappa_grad(&chain);
  return chain;
}

static void chain_lane(const EbbSsmNplrArgs *args, int64_t h, int lane, const Readout *now) {
  EbbDplrChain chain = chain_of(args, h, lane, now);
  double ddt = ebb_dplr_kappa_share(&chain);
  for (int64_t m = 0; m < args->M; m++) {
    EbbDplrMode mode = ebb_dplr_mode(args, h, m, chain.dt);
    EbbDplrPart part = part_of(args, m, lane, now), grad = grad_of(args, m, lane, now);
    ebb_dplr_through_input(&chain, &grad);
    ddt += ebb_dplr_mode_grad(args, h, m, &chain, &mode, &part, &grad);
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
