/* Setup of lnn_scan, for both backends. */
#include <math.h>

#include "host/ops/lnn_scan.h"
#include "host/ops/sequence.h"

static EbbStatus check(const char *where, const EbbLnnScanConfig *c) {
  if (c->steps < 1)
    return ebb_fail(EBB_INVALID, "%s: %lld sub-steps; at least 1 is needed", where, (long long)c->steps);
  if (!c->adaptive) return EBB_OK;
  if (!c->tableau || !c->tableau->adaptive)
    return ebb_fail(EBB_INVALID, "%s: %s estimates no error; adaptive steps need another solver, dopri5",
                    where, c->tableau ? c->tableau->name : "exact");
  if (!(c->atol >= 0 && c->rtol >= 0 && c->atol + c->rtol > 0))
    return ebb_fail(EBB_INVALID, "%s: tolerances atol %g, rtol %g; both must be at least 0 and one positive",
                    where, c->atol, c->rtol);
  if (!(c->first_step > 0 && c->first_step <= 1))
    return ebb_fail(EBB_INVALID, "%s: first step %g is outside 0 < dt <= 1 of a step's time", where,
                    c->first_step);
  if (c->attempts < 1 || c->attempts > 1000000)
    return ebb_fail(EBB_INVALID, "%s: %lld attempts are outside 1..1000000", where, (long long)c->attempts);
  return EBB_OK;
}

static void solver_of(const EbbLnnScanConfig *c, EbbLnnScanArgs *args) {
  EbbLnnSolver *solver = &args->solver;
  EbbLnnControl *control = &args->control;
  solver->exact = !c->tableau, solver->limit = INFINITY;
  solver->steps = c->tableau && !c->adaptive ? (int)c->steps : 1;
  if (!c->tableau) return;
  ebb_tableau_polynomials(c->tableau, control->r, control->e);
  for (int k = 0; k < EBB_LNN_COEFFICIENTS; k++) solver->r[k] = (float)control->r[k];
  if (!c->adaptive) solver->limit = (float)c->tableau->real_limit;
  solver->fall_back = !c->adaptive && c->guard == EBB_LNN_EXACT;
  control->atol = c->atol, control->rtol = c->rtol, control->first_step = c->first_step;
  control->attempts = c->attempts;
  control->groups = c->per_sample ? args->B : 1, control->group_rows = c->per_sample ? 1 : args->B;
}

static EbbStatus inputs(EbbSetup *setup, const EbbLnnScanConfig *c, EbbLnnScanArgs *args) {
  int next = 2;
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, 3, true, &args->tau));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &args->dtau, &args->add_dtau));
  EBB_TRY(ebb_setup_input(setup, 1, EBB_F32, 3, true, &args->a));
  EBB_TRY(ebb_setup_input_grad(setup, 1, &args->da, &args->add_da));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  args->B = shape.dim[0], args->T = shape.dim[1], args->H = shape.dim[2];
  EBB_TRY(ebb_setup_require_shape(setup, 1, shape, "a"));
  if (c->elapsed) {
    EBB_TRY(ebb_setup_input(setup, next, EBB_F32, 2, true, &args->elapsed));
    EBB_TRY(ebb_setup_require_shape(setup, next++, ebb_shape(args->B, args->T), "elapsed"));
  }
  if (c->lengths) EBB_TRY(ebb_setup_lengths(setup, next++, args->B, &args->lengths));
  if (!c->h0) return EBB_OK;
  EBB_TRY(ebb_setup_input(setup, next, EBB_F32, 2, true, &args->h0));
  EBB_TRY(ebb_setup_input_grad(setup, next, &args->dh0, &args->add_dh0));
  return ebb_setup_require_shape(setup, next, ebb_shape(args->B, args->H), "h0");
}

static EbbStatus outputs(EbbSetup *setup, const EbbLnnScanConfig *c, EbbLnnScanArgs *args) {
  const EbbShape log = ebb_shape(args->control.groups, args->T, args->control.attempts, 3), scalar = {0};
  int next = 1;
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, ebb_shape(args->B, args->T, args->H), true, &args->h));
  EBB_TRY(ebb_setup_output_grad(setup, 0, &args->dh));
  if (c->final) {
    EBB_TRY(ebb_setup_output(setup, next, EBB_F32, ebb_shape(args->B, args->H), false, &args->final));
    EBB_TRY(ebb_setup_output_grad(setup, next++, &args->dfinal));
  }
  if (c->log && !c->adaptive)
    return ebb_fail(EBB_INVALID, "%s: only adaptive steps have a log", ebb_setup_where(setup));
  if (c->log) EBB_TRY(ebb_setup_output(setup, next++, EBB_F32, log, false, &args->log));
  if (c->guard != EBB_LNN_WARN) return EBB_OK;
  return ebb_setup_output(setup, next, EBB_F32, scalar, false, &args->stiffness);
}

static EbbStatus memory(EbbSetup *setup, EbbLnnScanArgs *args) {
  const size_t frames = (size_t)(args->control.groups * args->T), rows = (size_t)args->B;
  const size_t states = rows * (size_t)args->H * sizeof(double);
  EBB_TRY(ebb_setup_saved(setup, frames * (size_t)args->control.attempts * sizeof(double), &args->taken));
  EBB_TRY(ebb_setup_saved(setup, frames * sizeof(int32_t), &args->counts));
  EBB_TRY(ebb_setup_scratch(setup, states, &args->state));
  EBB_TRY(ebb_setup_scratch(setup, states, &args->trial));
  return ebb_setup_scratch(setup, ebb_setup_backend(setup) == EBB_CPU ? rows * sizeof(double) : 0,
                           &args->row_error);
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbLnnScanConfig *c = config;
  EbbLnnScanArgs *args = out;
  EBB_TRY(check(ebb_setup_where(setup), c));
  EBB_TRY(inputs(setup, c, args));
  args->adaptive = c->adaptive, args->guard = c->guard;
  solver_of(c, args);
  EBB_TRY(outputs(setup, c, args));
  return c->adaptive ? memory(setup, args) : EBB_OK;
}

const EbbOp ebb_lnn_scan_op = {.name = "lnn_scan", .args_size = sizeof(EbbLnnScanArgs), .setup = set_up};
