#include "ebb/ode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/scalar.h"
#include "host/learn/ode_internal.h"

EbbOdeConfig ebb_ode_fixed(void) {
  return (EbbOdeConfig){.tableau = ebb_tableau_find("rk4"), .dt = 0.01, .checkpoint = 1};
}

EbbOdeConfig ebb_ode_adaptive(void) {
  return (EbbOdeConfig){.tableau = ebb_tableau_find("dopri5"),
                        .adaptive = true,
                        .atol = 1e-6,
                        .rtol = 1e-3,
                        .max_steps = 1000,
                        .checkpoint = 1};
}

static EbbStatus check_adaptive(const EbbOdeConfig *config) {
  if (!config->tableau->adaptive)
    return ebb_fail(EBB_INVALID, "ode: %s estimates no error; adaptive steps need another solver, dopri5",
                    config->tableau->name);
  if (!(config->atol >= 0 && config->rtol >= 0 && config->atol + config->rtol > 0))
    return ebb_fail(EBB_INVALID, "ode: tolerances atol %g, rtol %g; both must be at least 0 and one positive",
                    config->atol, config->rtol);
  if (!(config->first_step >= 0 && isfinite(config->first_step)))
    return ebb_fail(EBB_INVALID, "ode: first step %g; it must be positive, or 0 for a tenth of the span",
                    config->first_step);
  if (config->max_steps < 1)
    return ebb_fail(EBB_INVALID, "ode: at most %lld steps; at least 1 is needed",
                    (long long)config->max_steps);
  return EBB_OK;
}

static EbbStatus check(const EbbOdeConfig *config, int64_t B, int64_t D, double t0, double t1) {
  if (B < 1 || D < 1)
    return ebb_fail(EBB_INVALID, "ode: a state of (%lld, %lld) has no elements", (long long)B, (long long)D);
  if (!isfinite(t0) || !isfinite(t1))
    return ebb_fail(EBB_INVALID, "ode: times %g to %g must be finite", t0, t1);
  if (config->checkpoint < 1)
    return ebb_fail(EBB_INVALID, "ode: checkpoint %lld; every step (1) or every k-th must be kept",
                    (long long)config->checkpoint);
  if (config->adaptive) return check_adaptive(config);
  if (!(config->dt > 0 && isfinite(config->dt)))
    return ebb_fail(EBB_INVALID, "ode: step size %g must be positive and finite", config->dt);
  if (fabs(t1 - t0) / config->dt > 1e15)
    return ebb_fail(EBB_INVALID, "ode: step size %g is too small for a span of %g", config->dt,
                    fabs(t1 - t0));
  return EBB_OK;
}

/* ---- one step ---- */

void stages_combine(const Stages *stages, int count, const double *weight, double dt, const double *x,
                    double *y) {
  const int64_t n = stages->n;
  if (!x)
    memset(y, 0, sizeof *y * (size_t)n);
  else if (x != y)
    memcpy(y, x, sizeof *y * (size_t)n);
  for (int j = 0; j < count; j++) {
    const double scale = dt * weight[j], *k = stages->k + j * n;
    if (scale == 0) continue;
    for (int64_t i = 0; i < n; i++) y[i] += scale * k[i];
  }
}

EbbStatus stages_fill(Stages *stages, const Step *step, const double *x) {
  const EbbTableau *table = step->tableau;
  for (int s = 0; s < table->stages; s++) {
    double *point = stages->point + s * stages->n;
    stages_combine(stages, s, table->a[s], step->dt, x, point);
    EBB_TRY(step->rhs->f(step->rhs->context, step->first, step->rows, step->t + table->c[s] * step->dt, point,
                         stages->k + s * stages->n));
  }
  return EBB_OK;
}

/* ---- a whole solution ---- */

/* The rows of one track on their way; y and error are (n) each. */
typedef struct Walk {
  const EbbOdeConfig *config;
  Step step;
  int64_t D, n;
  double t1;
  Stages stages;
  double *x, *y, *error;
  EbbOdeTape *tape;
  Track *track;
} Walk;

static EbbStatus check_finite(const Walk *walk, const double *x, double t) {
  for (int64_t i = 0; i < walk->n; i++) {
    const int64_t row = walk->step.first + i / walk->D, element = i % walk->D;
    if (isfinite(x[i])) continue;
    return ebb_fail(EBB_NUMERIC, "ode: element (%lld, %lld) of the state is %s at t = %g; take smaller steps",
                    (long long)row, (long long)element, ebb_nonfinite_name(x[i]), t);
  }
  return EBB_OK;
}

/* y becomes the state. */
static EbbStatus accept(Walk *walk, double next) {
  EBB_TRY(check_finite(walk, walk->y, next));
  if (walk->track) EBB_TRY(tape_step(walk->tape, walk->track, walk->step.t, walk->step.dt, walk->x));
  memcpy(walk->x, walk->y, sizeof *walk->x * (size_t)walk->n);
  walk->step.t = next;
  return EBB_OK;
}

static EbbStatus try_step(Walk *walk) {
  const EbbTableau *table = walk->step.tableau;
  EBB_TRY(stages_fill(&walk->stages, &walk->step, walk->x));
  stages_combine(&walk->stages, table->stages, table->b, walk->step.dt, walk->x, walk->y);
  return EBB_OK;
}

static EbbStatus note(Walk *walk, double error, bool accepted) {
  if (!walk->tape) return EBB_OK;
  const EbbOdeTrial trial = {walk->step.first, walk->step.t, walk->step.dt, error, accepted};
  return tape_trial(walk->tape, &trial);
}

static EbbStatus walk_fixed(Walk *walk) {
  const double t0 = walk->step.t, span = walk->t1 - t0;
  const int64_t rounded = llround(fabs(span) / walk->config->dt), steps = rounded > 1 ? rounded : 1;
  walk->step.dt = span / (double)steps;
  for (int64_t i = 0; i < steps && span != 0; i++) {
    EBB_TRY(try_step(walk));
    EBB_TRY(note(walk, 0, true));
    EBB_TRY(accept(walk, t0 + (double)(i + 1) * walk->step.dt));
  }
  return EBB_OK;
}

static double error_norm(Walk *walk) {
  const EbbTableau *table = walk->step.tableau;
  double sum = 0;
  stages_combine(&walk->stages, table->stages, table->b_error, walk->step.dt, NULL, walk->error);
  for (int64_t i = 0; i < walk->n; i++) {
    const double size = fmax(fabs(walk->x[i]), fabs(walk->y[i])), error = walk->error[i];
    /* With atol 0 a component that is and stays 0 has no error. */
    const double share = error == 0 ? 0 : error / (walk->config->atol + walk->config->rtol * size);
    sum += share * share;
  }
  return sqrt(sum / (double)walk->n);
}

static EbbStatus exhausted(const Walk *walk, int64_t tried) {
  return ebb_fail(EBB_NUMERIC,
                  "ode: t = %g of %g reached after %lld steps, the last of %g, rows from %lld; allow more "
                  "steps or larger tolerances",
                  walk->step.t, walk->t1, (long long)tried, walk->step.dt, (long long)walk->step.first);
}

static EbbStatus walk_adaptive(Walk *walk) {
  const double span = walk->t1 - walk->step.t, way = span < 0 ? -1 : 1;
  double dt = walk->config->first_step > 0 ? walk->config->first_step : fabs(span) / 10;
  int64_t tried = 0;
  for (; way * (walk->t1 - walk->step.t) > 0 && tried < walk->config->max_steps; tried++) {
    walk->step.dt = way * fmin(dt, fabs(walk->t1 - walk->step.t));
    const double next = walk->step.t + walk->step.dt;
    if (next == walk->step.t) return exhausted(walk, tried);
    EBB_TRY(try_step(walk));
    const double e = error_norm(walk);
    const bool accepted = e <= 1;
    EBB_TRY(note(walk, e, accepted));
    dt = fabs(walk->step.dt) * ebb_tableau_growth(e);
    if (accepted) EBB_TRY(accept(walk, next));
  }
  return way * (walk->t1 - walk->step.t) > 0 ? exhausted(walk, tried) : EBB_OK;
}

static bool walk_memory(Walk *walk) {
  walk->y = malloc(sizeof(double) * (size_t)walk->n);
  walk->error = malloc(sizeof(double) * (size_t)walk->n);
  return stages_create(walk->n, &walk->stages) && walk->y && walk->error;
}

static EbbStatus walk_on(Walk *walk) {
  EBB_TRY(check_finite(walk, walk->x, walk->step.t));
  return walk->config->adaptive ? walk_adaptive(walk) : walk_fixed(walk);
}

static EbbStatus walk_rows(Walk *walk) {
  EbbStatus status;
  if (walk_memory(walk))
    status = walk_on(walk);
  else
    status = ebb_fail(EBB_MEMORY, "ode: no memory for a step of %lld numbers", (long long)walk->n);
  free(walk->y);
  free(walk->error);
  stages_destroy(&walk->stages);
  return status;
}

EbbStatus ebb_ode_solve(const EbbOdeConfig *config, const EbbOdeRhs *rhs, int64_t B, int64_t D, double t0,
                        double t1, double *x, EbbOdeTape *tape) {
  EBB_TRY(check(config, B, D, t0, t1));
  if (tape) EBB_TRY(tape_start(tape, config, B, D));
  const int64_t rows = config->per_sample ? 1 : B;
  for (int64_t first = 0; first < B; first += rows) {
    Walk walk = {.config = config,
                 .step = {.tableau = config->tableau, .rhs = rhs, .first = first, .rows = rows, .t = t0},
                 .D = D,
                 .n = rows * D,
                 .t1 = t1,
                 .tape = tape,
                 .track = tape ? &tape->track[first / rows] : NULL};
    walk.x = x + first * D;
    EBB_TRY(walk_rows(&walk));
  }
  if (tape) tape->solved = true;
  return EBB_OK;
}
