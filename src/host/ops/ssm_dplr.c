#include "host/ops/ssm_dplr.h"

#include <stdlib.h>
#include <string.h>

static void set_lane(EbbC64x8 *to, int lane, EbbC64 z) {
  to->re[lane] = z.re;
  to->im[lane] = z.im;
}

static void make_lane(const EbbSsmNplrArgs *args, int64_t h, int lane, const EbbDplrLanes *lanes) {
  int64_t M = args->M, rank = lanes->rank;
  double dt = ebb_nplr_dt(args, h), G[4] = {0}, sB[2] = {0}, kappa[4];
  for (int64_t m = 0; m < M; m++) {
    EbbDplrMode mode = ebb_dplr_mode(args, h, m, dt);
    for (int64_t i = 0; i < rank; i++) {
      sB[i] += ebb_dplr_input_term(&mode, i);
      for (int64_t j = 0; j < rank; j++) G[i * rank + j] += ebb_dplr_low_rank_term(&mode, i, j);
    }
  }
  ebb_dplr_kappa(rank, dt, G, kappa);
  for (int64_t m = 0; m < M; m++) {
    EbbDplrMode mode = ebb_dplr_mode(args, h, m, dt);
    EbbDplrPart part = ebb_dplr_part(&mode, rank, dt, kappa, sB);
    set_lane(&lanes->a[m], lane, part.a);
    set_lane(&lanes->x0[m], lane, part.x0);
    for (int64_t j = 0; j < rank; j++) {
      set_lane(&lanes->r[j * M + m], lane, part.r[j]);
      set_lane(&lanes->q[j * M + m], lane, part.q[j]);
    }
  }
}

void ebb_dplr_lanes(const EbbSsmNplrArgs *args, int64_t h0, const EbbDplrLanes *lanes) {
  size_t bytes = (size_t)args->M * sizeof(EbbC64x8), low_rank = (size_t)lanes->rank * bytes;
  memset(lanes->a, 0, bytes);
  memset(lanes->x0, 0, bytes);
  memset(lanes->r, 0, low_rank);
  memset(lanes->q, 0, low_rank);
  for (int lane = 0; lane < EBB_F64X8 && h0 + lane < args->config.H; lane++)
    make_lane(args, h0 + lane, lane, lanes);
}

void ebb_dplr_dot(int64_t M, const EbbC64x8 *a, const EbbC64x8 *x, EbbF64x8 *out) {
  EbbF64x8 sum = {0};
  for (int64_t m = 0; m < M; m++) sum += a[m].re * x[m].re - a[m].im * x[m].im;
  *out = sum + sum;
}

void ebb_dplr_dots(const EbbDplrLanes *lanes, const EbbC64x8 *q, const EbbC64x8 *x, EbbF64x8 *s) {
  for (int64_t j = 0; j < lanes->rank; j++) ebb_dplr_dot(lanes->M, q + j * lanes->M, x, &s[j]);
}

/* The rank is a constant where this is inlined. */
EBB_INLINE void step(const EbbDplrLanes *lanes, int rank, const EbbC64x8 *r, const EbbC64x8 *q,
                     const EbbC64x8 *x, EbbC64x8 *to, EbbF64x8 *s) {
  int64_t M = lanes->M;
  const EbbC64x8 *a = lanes->a;
  EbbF64x8 first = s[0], second = s[rank - 1], next = {0}, other = {0};
  for (int64_t m = 0; m < M; m++) {
    EbbF64x8 re = a[m].re * x[m].re - a[m].im * x[m].im - r[m].re * first;
    EbbF64x8 im = a[m].re * x[m].im + a[m].im * x[m].re - r[m].im * first;
    if (rank == 2) {
      re -= r[M + m].re * second;
      im -= r[M + m].im * second;
      other += q[M + m].re * re - q[M + m].im * im;
    }
    to[m].re = re, to[m].im = im;
    next += q[m].re * re - q[m].im * im;
  }
  s[rank - 1] = other + other;
  s[0] = next + next;
}

void ebb_dplr_step(const EbbDplrLanes *lanes, const EbbC64x8 *r, const EbbC64x8 *q, const EbbC64x8 *x,
                   EbbC64x8 *to, EbbF64x8 *s) {
  if (lanes->rank == 1)
    step(lanes, 1, r, q, x, to, s);
  else
    step(lanes, 2, r, q, x, to, s);
}

/* Rows c of the channels h0 .. h0 + 7 of C, into or out of the lanes. */
static void load_C(const EbbSsmNplrArgs *args, const float *C, int64_t c, int64_t h0, EbbC64x8 *x) {
  memset(x, 0, (size_t)args->M * sizeof *x);
  for (int lane = 0; lane < EBB_F64X8 && h0 + lane < args->config.H; lane++)
    for (int64_t m = 0; m < args->M; m++) {
      const float *at = C + 2 * ((c * args->config.H + h0 + lane) * args->M + m);
      set_lane(&x[m], lane, ebb_c64_make((double)at[0], (double)at[1]));
    }
}
static void add_C(const EbbSsmNplrArgs *args, float *C, int64_t c, int64_t h0, const EbbC64x8 *x,
                  double sign) {
  for (int lane = 0; lane < EBB_F64X8 && h0 + lane < args->config.H; lane++)
    for (int64_t m = 0; m < args->M; m++) {
      float *at = C + 2 * ((c * args->config.H + h0 + lane) * args->M + m);
      at[0] = (float)((double)at[0] + sign * x[m].re[lane]);
      at[1] = (float)((double)at[1] + sign * x[m].im[lane]);
    }
}

static void transform_lanes(const EbbSsmNplrArgs *args, int64_t h0, int64_t length, double sign, float *C,
                            EbbC64x8 *memory) {
  int64_t M = args->M;
  EbbDplrLanes lanes = ebb_dplr_place(args, memory);
  EbbC64x8 *x = memory + ebb_dplr_vectors(lanes.rank) * M;
  ebb_dplr_lanes(args, h0, &lanes);
  for (int64_t c = 0; c < args->config.channels; c++) {
    load_C(args, C, c, h0, x);
    EbbF64x8 s[2];
    ebb_dplr_dots(&lanes, lanes.r, x, s);
    for (int64_t l = 0; l < length; l++) ebb_dplr_step(&lanes, lanes.q, lanes.r, x, x, s);
    add_C(args, C, c, h0, x, sign);
  }
}

EbbStatus ebb_dplr_transform(const EbbSsmNplrArgs *args, int64_t length, double sign, float *C) {
  int64_t blocks = (args->config.H + EBB_F64X8 - 1) / EBB_F64X8,
          row = (1 + ebb_dplr_vectors(ebb_ssm_rank(&args->config))) * args->M;
  EbbC64x8 *memory = aligned_alloc(64, (size_t)(blocks * row) * sizeof *memory);
  if (!memory) return ebb_fail(EBB_MEMORY, "no memory for %lld discrete systems", (long long)args->config.H);
#pragma omp parallel for schedule(static)
  for (int64_t block = 0; block < blocks; block++)
    transform_lanes(args, block * EBB_F64X8, length, sign, C, memory + block * row);
  free(memory);
  return EBB_OK;
}
