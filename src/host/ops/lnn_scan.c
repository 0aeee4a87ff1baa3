/* The scan on the CPU: a task is a block of channels of one row, step by step, vectorised over the channels.
 */
#include "host/ops/lnn_scan.h"

#include <math.h>
#include <string.h>

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/rows.h"

enum { BLOCK = 128 };

/* Channels h .. h + n - 1 of row b. */
typedef struct Span {
  int64_t b, h, n;
} Span;

static int64_t at(const EbbLnnScanArgs *args, const Span *span, int64_t t) {
  return (span->b * args->T + t) * args->H + span->h;
}

/* What each channel does in a step. */
typedef struct Factors {
  float keep[BLOCK], gain[BLOCK], slope[BLOCK];
} Factors;

static void chain_all(Factors *all, const Factors *then, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const EbbLnnFactor first = {all->keep[i], all->gain[i], all->slope[i]},
                       next = {then->keep[i], then->gain[i], then->slope[i]},
                       both = ebb_lnn_chain(first, next);
    all->keep[i] = both.keep, all->gain[i] = both.gain, all->slope[i] = both.slope;
  }
}

/* Copies of what the loops read again and again, so that they vectorise. */
static void step_all(const EbbLnnSolver *solver, const float *restrict tau, float dt, int64_t n,
                     Factors *out) {
  const EbbLnnSolver s = *solver;
  float *restrict keep = out->keep, *restrict gain = out->gain, *restrict slope = out->slope;
#define EBB_STEP_ALL(one)                                                                                    \
  for (int64_t i = 0; i < n; i++) {                                                                          \
    const EbbLnnFactor factor = (one);                                                                       \
    keep[i] = factor.keep, gain[i] = factor.gain, slope[i] = factor.slope;                                   \
  }
  if (s.exact)
    EBB_STEP_ALL(ebb_lnn_exact(-dt / tau[i], tau[i]))
  else if (s.fall_back)
    EBB_STEP_ALL(ebb_lnn_mended(&s, -dt / tau[i], tau[i]))
  else
    EBB_STEP_ALL(ebb_lnn_polynomial(s.r, -dt / tau[i], tau[i]))
#undef EBB_STEP_ALL
}

/* The sub-steps of step t, chained. */
static void factors(const EbbLnnScanArgs *args, const Span *span, int64_t t, Factors *out) {
  const float *tau = args->tau + at(args, span, t), dt = ebb_lnn_elapsed(args, span->b, t);
  Factors next;
  if (!args->adaptive) {
    step_all(&args->solver, tau, dt / (float)args->solver.steps, span->n, out);
    next = *out;
    for (int s = 1; s < args->solver.steps; s++) chain_all(out, &next, span->n);
    return;
  }
  const int64_t frame = span->b / args->control.group_rows * args->T + t;
  const double *taken = args->taken + frame * args->control.attempts;
  step_all(&args->solver, tau, dt * (float)taken[0], span->n, out);
  for (int32_t s = 1; s < args->counts[frame]; s++) {
    step_all(&args->solver, tau, dt * (float)taken[s], span->n, &next);
    chain_all(out, &next, span->n);
  }
}

static void scan(const EbbLnnScanArgs *args, const Span *span) {
  float h[BLOCK] = {0};
  Factors factor;
  if (args->h0) memcpy(h, args->h0 + span->b * args->H + span->h, (size_t)span->n * sizeof *h);
  for (int64_t t = 0; t < args->T; t++) {
    float *restrict out = args->h + at(args, span, t);
    const float *restrict a = args->a + at(args, span, t);
    if (!ebb_lnn_moves(args, span->b, t)) {
      memset(out, 0, (size_t)span->n * sizeof *out);
      continue;
    }
    factors(args, span, t, &factor);
    for (int64_t i = 0; i < span->n; i++) out[i] = h[i] = factor.keep[i] * h[i] + factor.gain[i] * a[i];
  }
  if (args->final) memcpy(args->final + span->b * args->H + span->h, h, (size_t)span->n * sizeof *h);
}

/* ---- what the inputs may be ---- */

static EbbStatus check_inputs(const EbbLnnScanArgs *args) {
  for (int64_t b = 0; b < args->B && args->lengths; b++)
    if (args->lengths[b] < 0 || args->lengths[b] > args->T)
      return ebb_fault_fail(EBB_FAULT_LNN_LENGTH, (double)b, (double)args->lengths[b], (double)args->T, 0);
  for (int64_t i = 0; i < args->B * args->T && args->elapsed; i++) {
    const int64_t b = i / args->T, t = i % args->T;
    if (!(args->elapsed[i] >= 0 && isfinite(args->elapsed[i])))
      return ebb_fault_fail(EBB_FAULT_LNN_ELAPSED, (double)b, (double)t, (double)args->elapsed[i], 0);
  }
  return EBB_OK;
}

/* Time constants that a sub-step of (b, t) goes on for, at most. */
static float ratio_of(const EbbLnnScanArgs *args, int64_t b, int64_t t) {
  const float *tau = args->tau + (b * args->T + t) * args->H;
  const float dt = ebb_lnn_elapsed(args, b, t) / (float)args->solver.steps;
  float most = 0;
  if (!ebb_lnn_moves(args, b, t)) return 0;
  for (int64_t h = 0; h < args->H; h++) most = dt / tau[h] > most ? dt / tau[h] : most;
  return most;
}

static EbbStatus guard(const EbbLnnScanArgs *args) {
  float most = 0;
  if (args->guard != EBB_LNN_WARN && args->guard != EBB_LNN_ERROR) return EBB_OK;
  for (int64_t b = 0; b < args->B; b++)
    for (int64_t t = 0; t < args->T; t++) {
      const float ratio = ratio_of(args, b, t);
      if (args->guard == EBB_LNN_ERROR && ratio > args->solver.limit)
        return ebb_fault_fail(EBB_FAULT_LNN_STIFF, (double)b, (double)t, (double)ratio,
                              (double)args->solver.limit);
      most = ratio > most ? ratio : most;
    }
  if (args->stiffness) *args->stiffness = most;
  return EBB_OK;
}

/* ---- forward and backward ---- */

static Span span_of(const EbbLnnScanArgs *args, int64_t b, int64_t block) {
  return (Span){b, block * BLOCK, ebb_min64(BLOCK, args->H - block * BLOCK)};
}

static EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbLnnScanArgs *args = args_;
  const int64_t blocks = (args->H + BLOCK - 1) / BLOCK;
  EBB_TRY(check_inputs(args));
  EBB_TRY(guard(args));
  if (args->adaptive) return ebb_lnn_adaptive_forward(args, run);
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < args->B; b++)
    for (int64_t block = 0; block < blocks; block++) {
      const Span span = span_of(args, b, block);
      scan(args, &span);
    }
  return EBB_OK;
}

/* to = v, or += where add is set; to may be NULL. */
static void put(float *restrict to, const float *restrict v, bool add, int64_t n) {
  if (!to) return;
  for (int64_t i = 0; i < n; i++) to[i] = add ? to[i] + v[i] : v[i];
}

/* Step t: g = dL/dh_t from later steps becomes that from here on, and dtau and da are filled. */
static void step_back(const EbbLnnScanArgs *args, const Span *span, int64_t t, float *restrict g,
                      float *restrict dtau, float *restrict da) {
  static const float zero[BLOCK];
  const int64_t from = at(args, span, t);
  const float *restrict a = args->a + from, *restrict dh = args->dh ? args->dh + from : zero;
  const float *restrict before = t > 0      ? args->h + from - args->H
                                 : args->h0 ? args->h0 + span->b * args->H + span->h
                                            : zero;
  Factors factor;
  factors(args, span, t, &factor);
  for (int64_t i = 0; i < span->n; i++) {
    const float here = g[i] + dh[i];
    da[i] = here * factor.gain[i];
    dtau[i] = here * factor.slope[i] * (before[i] - a[i]);
    g[i] = here * factor.keep[i];
  }
}

static void scan_back(const EbbLnnScanArgs *args, const Span *span) {
  const int64_t edge = span->b * args->H + span->h;
  float g[BLOCK] = {0}, dtau[BLOCK] = {0}, da[BLOCK] = {0};
  if (args->dfinal) memcpy(g, args->dfinal + edge, (size_t)span->n * sizeof *g);
  for (int64_t t = args->T - 1; t >= 0; t--) {
    const int64_t from = at(args, span, t);
    if (ebb_lnn_moves(args, span->b, t)) step_back(args, span, t, g, dtau, da);
    put(args->dtau ? args->dtau + from : NULL, dtau, args->add_dtau, span->n);
    put(args->da ? args->da + from : NULL, da, args->add_da, span->n);
  }
  put(args->dh0 ? args->dh0 + edge : NULL, g, args->add_dh0, span->n);
}

static EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbLnnScanArgs *args = args_;
  const int64_t blocks = (args->H + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < args->B; b++)
    for (int64_t block = 0; block < blocks; block++) {
      const Span span = span_of(args, b, block);
      scan_back(args, &span);
    }
  return EBB_OK;
}

const EbbKernels ebb_lnn_scan_cpu = {forward, backward};
