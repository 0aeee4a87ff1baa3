#include "host/ops/ssm_dplr.h"

#include <stdlib.h>
#include <string.h>

static EbbC64 d_of(const EbbSsmNplrArgs *args, int64_t h, int64_t m, double dt, EbbC64 *B, EbbC64 *P) {
  EbbC64 w;
  ebb_ssm_nplr_mode(args, h, m, &w, B, P);
  return ebb_dplr_inverse(w, dt);
}

static void set_lane(EbbLanes2 *to, int lane, EbbC64 z) {
  to->re[lane] = z.re;
  to->im[lane] = z.im;
}

static void make_lane(const EbbSsmNplrArgs *args, int64_t h, int lane, const EbbDplrLanes *lanes) {
  double dt = exp((double)args->log_dt[h]) * args->config.rate, g = 0, sB = 0;
  EbbC64 B, P;
  for (int64_t m = 0; m < args->M; m++) {
    EbbC64 d = d_of(args, h, m, dt, &B, &P), q = ebb_c64_mul_conj(d, P);
    g += 2 * ebb_c64_norm2(P) * d.re;
    sB += 2 * ebb_c64_mul(q, B).re;
  }
  double kappa = ebb_dplr_kappa(dt, g);
  for (int64_t m = 0; m < args->M; m++) {
    EbbC64 d = d_of(args, h, m, dt, &B, &P), r = ebb_c64_scale(ebb_c64_mul(d, P), kappa);
    set_lane(&lanes->a[m], lane, ebb_c64_make(2 * d.re - 1, 2 * d.im));
    set_lane(&lanes->r[m], lane, r);
    set_lane(&lanes->q[m], lane, ebb_c64_mul_conj(d, P));
    set_lane(&lanes->x0[m], lane,
             ebb_c64_sub(ebb_c64_scale(ebb_c64_mul(d, B), dt), ebb_c64_scale(r, 0.5 * dt * sB)));
  }
}

void ebb_dplr_lanes(const EbbSsmNplrArgs *args, int64_t h0, const EbbDplrLanes *lanes) {
  size_t bytes = (size_t)args->M * sizeof(EbbLanes2);
  memset(lanes->a, 0, bytes);
  memset(lanes->r, 0, bytes);
  memset(lanes->q, 0, bytes);
  memset(lanes->x0, 0, bytes);
  for (int lane = 0; lane < EBB_LANES && h0 + lane < args->config.H; lane++)
    make_lane(args, h0 + lane, lane, lanes);
}

void ebb_dplr_dot(int64_t M, const EbbLanes2 *a, const EbbLanes2 *x, EbbLanes *out) {
  EbbLanes sum = {0};
  for (int64_t m = 0; m < M; m++) sum += a[m].re * x[m].re - a[m].im * x[m].im;
  *out = sum + sum;
}

void ebb_dplr_step(int64_t M, const EbbLanes2 *a, const EbbLanes2 *r, const EbbLanes2 *q, const EbbLanes2 *x,
                   EbbLanes2 *to, EbbLanes *s) {
  EbbLanes now = *s, next = {0};
  for (int64_t m = 0; m < M; m++) {
    EbbLanes re = a[m].re * x[m].re - a[m].im * x[m].im - r[m].re * now;
    EbbLanes im = a[m].re * x[m].im + a[m].im * x[m].re - r[m].im * now;
    to[m].re = re, to[m].im = im;
    next += q[m].re * re - q[m].im * im;
  }
  *s = next + next;
}

/* Rows c of the channels h0 .. h0 + 7 of C, into or out of the lanes. */
static void load_C(const EbbSsmNplrArgs *args, const float *C, int64_t c, int64_t h0, EbbLanes2 *x) {
  memset(x, 0, (size_t)args->M * sizeof *x);
  for (int lane = 0; lane < EBB_LANES && h0 + lane < args->config.H; lane++)
    for (int64_t m = 0; m < args->M; m++) {
      const float *at = C + 2 * ((c * args->config.H + h0 + lane) * args->M + m);
      set_lane(&x[m], lane, ebb_c64_make((double)at[0], (double)at[1]));
    }
}
static void add_C(const EbbSsmNplrArgs *args, float *C, int64_t c, int64_t h0, const EbbLanes2 *x,
                  double sign) {
  for (int lane = 0; lane < EBB_LANES && h0 + lane < args->config.H; lane++)
    for (int64_t m = 0; m < args->M; m++) {
      float *at = C + 2 * ((c * args->config.H + h0 + lane) * args->M + m);
      at[0] = (float)((double)at[0] + sign * x[m].re[lane]);
      at[1] = (float)((double)at[1] + sign * x[m].im[lane]);
    }
}

static void transform_lanes(const EbbSsmNplrArgs *args, int64_t h0, int64_t length, double sign, float *C,
                            EbbLanes2 *memory) {
  int64_t M = args->M;
  EbbDplrLanes lanes = {M, memory, memory + M, memory + 2 * M, memory + 3 * M};
  EbbLanes2 *x = memory + 4 * M;
  ebb_dplr_lanes(args, h0, &lanes);
  for (int64_t c = 0; c < args->config.channels; c++) {
    load_C(args, C, c, h0, x);
    EbbLanes s;
    ebb_dplr_dot(M, lanes.r, x, &s);
    for (int64_t l = 0; l < length; l++) ebb_dplr_step(M, lanes.a, lanes.q, lanes.r, x, x, &s);
    add_C(args, C, c, h0, x, sign);
  }
}

EbbStatus ebb_dplr_transform(const EbbSsmNplrArgs *args, int64_t length, double sign, float *C) {
  int64_t blocks = (args->config.H + EBB_LANES - 1) / EBB_LANES, row = 5 * args->M;
  EbbLanes2 *memory = aligned_alloc(64, (size_t)(blocks * row) * sizeof *memory);
  if (!memory) return ebb_fail(EBB_MEMORY, "no memory for %lld discrete systems", (long long)args->config.H);
#pragma omp parallel for schedule(static)
  for (int64_t block = 0; block < blocks; block++)
    transform_lanes(args, block * EBB_LANES, length, sign, C, memory + block * row);
  free(memory);
  return EBB_OK;
}
