/* The discrete adjoint of an explicit Runge-Kutta solution. With point_i = x + dt sum_{j<i} a_ij k_j, k_i =
   f(point_i) and g = dL/dx': going from the last stage to the first, dL/dk_i = dt (b_i g + sum_{j>i} a_ji
   lambda_j), lambda_i = dL/dk_i df/dx(point_i); dL/dx = g + sum_i lambda_i. */
#include <stdlib.h>
#include <string.h>

#include "host/learn/ode_internal.h"

/* Memory for going back over the rows of one track. */
typedef struct Back {
  Stages stages;
  double *lambda; /* (EBB_STAGES, n) */
  double *dk;     /* (n) */
  double *states; /* (checkpoint, n): before the steps of one stretch between kept states */
} Back;

static void back_destroy(Back *back) {
  stages_destroy(&back->stages);
  free(back->lambda);
  free(back->dk);
  free(back->states);
}

static bool back_create(int64_t n, int64_t checkpoint, Back *out) {
  out->lambda = malloc(sizeof(double) * (size_t)n * EBB_STAGES);
  out->dk = malloc(sizeof(double) * (size_t)n);
  out->states = malloc(sizeof(double) * (size_t)n * (size_t)checkpoint);
  return stages_create(n, &out->stages) && out->lambda && out->dk && out->states;
}

/* dL/dk_s; false where nothing depends on the slope. */
static bool slope_gradient(const Back *back, const Step *step, int s, const double *g) {
  const EbbTableau *table = step->tableau;
  const int64_t n = back->stages.n;
  bool used = table->b[s] != 0;
  for (int64_t i = 0; i < n; i++) back->dk[i] = step->dt * table->b[s] * g[i];
  for (int j = s + 1; j < table->stages; j++) {
    if (table->a[j][s] == 0) continue;
    const double scale = step->dt * table->a[j][s], *lambda = back->lambda + j * n;
    for (int64_t i = 0; i < n; i++) back->dk[i] += scale * lambda[i];
    used = true;
  }
  return used;
}

/* g: dL/dx' becomes dL/dx of the step from x. */
static EbbStatus step_back(Back *back, const Step *step, const double *x, double *g, double *dtheta) {
  const EbbTableau *table = step->tableau;
  const int64_t n = back->stages.n;
  EBB_TRY(stages_fill(&back->stages, step, x));
  for (int s = table->stages - 1; s >= 0; s--) {
    double *lambda = back->lambda + s * n;
    if (!slope_gradient(back, step, s, g)) {
      memset(lambda, 0, sizeof *lambda * (size_t)n);
      continue;
    }
    EBB_TRY(step->rhs->vjp(step->rhs->context, step->first, step->rows, step->t + table->c[s] * step->dt,
                           back->stages.point + s * n, back->dk, lambda, dtheta));
  }
  for (int s = 0; s < table->stages; s++)
    for (int64_t i = 0; i < n; i++) g[i] += back->lambda[s * n + i];
  return EBB_OK;
}

static Step step_of(const EbbOdeTape *tape, const Track *track, const EbbOdeRhs *rhs, int64_t i) {
  return (Step){tape->tableau, rhs, track->first, track->rows, track->t[i], track->dt[i]};
}

/* The states before steps from .. end - 1, of which the first is kept. */
static EbbStatus stretch_again(const EbbOdeTape *tape, const Track *track, const EbbOdeRhs *rhs, int64_t from,
                               int64_t end, Back *back) {
  const int64_t n = back->stages.n;
  memcpy(back->states, track->state + from / tape->checkpoint * n, sizeof(double) * (size_t)n);
  for (int64_t i = from; i + 1 < end; i++) {
    const Step step = step_of(tape, track, rhs, i);
    double *x = back->states + (i - from) * n;
    EBB_TRY(stages_fill(&back->stages, &step, x));
    stages_combine(&back->stages, tape->tableau->stages, tape->tableau->b, step.dt, x, x + n);
  }
  return EBB_OK;
}

static EbbStatus track_back(const EbbOdeTape *tape, const Track *track, const EbbOdeRhs *rhs, Back *back,
                            double *g, double *dtheta) {
  for (int64_t kept = track->kept - 1; kept >= 0; kept--) {
    const int64_t from = kept * tape->checkpoint, next = from + tape->checkpoint,
                  end = next < track->steps ? next : track->steps;
    EBB_TRY(stretch_again(tape, track, rhs, from, end, back));
    for (int64_t i = end - 1; i >= from; i--) {
      const Step step = step_of(tape, track, rhs, i);
      EBB_TRY(step_back(back, &step, back->states + (i - from) * back->stages.n, g, dtheta));
    }
  }
  return EBB_OK;
}

static EbbStatus tracks_back(const EbbOdeTape *tape, const EbbOdeRhs *rhs, Back *back, double *g,
                             double *dtheta) {
  for (int64_t i = 0; i < tape->tracks; i++)
    EBB_TRY(track_back(tape, &tape->track[i], rhs, back, g + tape->track[i].first * tape->D, dtheta));
  return EBB_OK;
}

EbbStatus ebb_ode_adjoint(const EbbOdeTape *tape, const EbbOdeRhs *rhs, double *g, double *dtheta) {
  if (!tape->solved) return ebb_fail(EBB_STATE, "ode: the tape holds no solution; solve with it first");
  if (!rhs->vjp) return ebb_fail(EBB_INVALID, "ode: the right-hand side has no vjp");
  const int64_t n = tape->track[0].rows * tape->D;
  Back back = {0};
  EbbStatus status;
  if (back_create(n, tape->checkpoint, &back))
    status = tracks_back(tape, rhs, &back, g, dtheta);
  else
    status = ebb_fail(EBB_MEMORY, "ode: no memory for the gradient of %lld numbers", (long long)n);
  back_destroy(&back);
  return status;
}
