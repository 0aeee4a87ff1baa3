/* Ordinary differential equations dx/dt = f(t, x; theta) for a batch of states (B, D), on the host in
   float64: any explicit Runge-Kutta method with fixed steps, or with steps chosen by its embedded error
   estimate, and the gradient of exactly what was computed. */
#ifndef EBB_ODE_H
#define EBB_ODE_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/status.h"
#include "ebb/tableau.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The right-hand side for `rows` rows of the batch from `first` on; x, dxdt, g and dx are (rows, D) and
   disjoint. */
typedef struct EbbOdeRhs {
  void *context;
  /* dxdt = f(t, x). */
  EbbStatus (*f)(void *context, int64_t first, int64_t rows, double t, const double *x, double *dxdt);
  /* dx = g df/dx (overwritten); dtheta += g df/dtheta. Needed by ebb_ode_adjoint only. */
  EbbStatus (*vjp)(void *context, int64_t first, int64_t rows, double t, const double *x, const double *g,
                   double *dx, double *dtheta);
} EbbOdeRhs;

/* Fixed steps: their number is |t1 - t0| / dt, rounded, and at least 1; all are equally long. Adaptive steps:
   with err the method's error estimate of a trial step from x to y, e = rms(err / (atol + rtol max(|x|,
   |y|))) over all elements; accepted where e <= 1, dt then grows by 0.9 e^(-1/5) within [0.2, 5] (5 where e
   is 0); otherwise it shrinks by max(0.2, 0.9 e^(-1/4)). Source: the published Edifice solver. */
typedef struct EbbOdeConfig {
  const EbbTableau *tableau;
  bool adaptive; /* needs a tableau that is */
  double dt;     /* fixed steps */
  double atol, rtol;
  double first_step;  /* 0: |t1 - t0| / 10 */
  int64_t max_steps;  /* trial steps that may be made, rejected ones too */
  bool per_sample;    /* every row chooses its own steps; otherwise one e over the whole batch */
  int64_t checkpoint; /* a tape keeps the state before every checkpoint-th step; at least 1 */
} EbbOdeConfig;

/* rk4 with dt 0.01, and dopri5 with atol 1e-6, rtol 1e-3, at most 1000 trial steps: as published. */
EbbOdeConfig ebb_ode_fixed(void);
EbbOdeConfig ebb_ode_adaptive(void);

/* A trial step. */
typedef struct EbbOdeTrial {
  int64_t row; /* first row that took it: 0 without per_sample */
  double t, dt, error;
  bool accepted;
} EbbOdeTrial;

/* What a solution leaves for its gradient: its steps and some of its states. Errors: MEMORY. */
typedef struct EbbOdeTape EbbOdeTape;
EbbStatus ebb_ode_tape_create(EbbOdeTape **out) EBB_MUST_CHECK;
void ebb_ode_tape_destroy(EbbOdeTape *tape);
/* All trial steps in their order. Lifetime: until the tape is used again. */
const EbbOdeTrial *ebb_ode_tape_trials(const EbbOdeTape *tape, int64_t *count);

/* x (B, D): x(t0) on entry, x(t1) on return; t1 may lie before t0. tape may be NULL; what it held is dropped.
   Errors: INVALID (configuration); NUMERIC: steps exhausted, or a state that is not finite, with time and
   element; what f fails with. After an error x holds no solution. */
EbbStatus ebb_ode_solve(const EbbOdeConfig *config, const EbbOdeRhs *rhs, int64_t B, int64_t D, double t0,
                        double t1, double *x, EbbOdeTape *tape) EBB_MUST_CHECK;

/* The gradient through a solution: g (B, D) holds dL/dx(t1) on entry and dL/dx(t0) on return; dL/dtheta is
   added to dtheta, which goes to vjp as it is. The steps count as constants. The states between kept ones are
   computed again, so f must still be the function that was solved. Source: Sandu 2006, "On the properties of
   Runge-Kutta discrete adjoints". Errors: STATE (tape of no solution), those of f and vjp, MEMORY. */
EbbStatus ebb_ode_adjoint(const EbbOdeTape *tape, const EbbOdeRhs *rhs, double *g,
                          double *dtheta) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
