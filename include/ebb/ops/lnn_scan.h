/* The recurrence of the published Edifice layer, dh/dt = (a_t - h) / tau_t over the time dt of each step (1,
   or elapsed): tau (B, T, H) > 0, a (B, T, H), [elapsed (B, T) >= 0], [lengths (B)], [h0 (B, H)] -> h (B, T,
   H), [final (B, H)], [log (G, T, attempts, 3)], [stiffness ()]. h starts at h0, or 0; from lengths[b] on it
   stands still and the output is 0; final is where it ends. Since tau and a do not depend on h, a solver's
   step of length dt multiplies h - a by a factor R(-dt / tau): e^z for the exact solution, the stability
   polynomial of a Runge-Kutta method otherwise. So the recurrence is linear, h' = keep h + (1 - keep) a, and
   can be scanned in parallel over time. elapsed, lengths and the choice of adaptive steps get no gradient.
   Source: blasphemetheus/edifice v0.2.0, Edifice.Liquid. */
#ifndef EBB_OPS_LNN_SCAN_H
#define EBB_OPS_LNN_SCAN_H

#include "ebb/op.h"
#include "ebb/scalar.h"
#include "ebb/tableau.h"

/* What happens where a fixed step leaves the solver's region of stability, dt / (steps tau) > real_limit:
   nothing; the largest such ratio is an output; an error; such elements are solved exactly. */
typedef enum EbbLnnGuard { EBB_LNN_NONE, EBB_LNN_WARN, EBB_LNN_ERROR, EBB_LNN_EXACT } EbbLnnGuard;

typedef struct EbbLnnScanConfig {
  const EbbTableau *tableau; /* NULL: exact */
  int64_t steps;             /* sub-steps of a step; at least 1 */
  bool adaptive; /* sub-steps as the error estimate says, as follows; needs a tableau that has one */
  double atol, rtol;
  double first_step; /* of a step's time; published: 0.25 */
  int64_t attempts;  /* sub-steps that may be tried in one step; published: 100 */
  bool per_sample;   /* every row has its own sub-steps; otherwise one error over all rows that still move */
  EbbLnnGuard guard;
  bool elapsed, lengths, h0; /* which inputs follow tau and a */
  bool final, log;           /* which outputs follow h; stiffness follows with EBB_LNN_WARN */
} EbbLnnScanConfig;

/* R of one sub-step as a polynomial, for fixed steps and for the gradient of adaptive ones. */
enum { EBB_LNN_COEFFICIENTS = EBB_STAGES + 1 };
typedef struct EbbLnnSolver {
  bool exact, fall_back; /* fall_back: exact beyond limit */
  int steps;
  float limit;
  float r[EBB_LNN_COEFFICIENTS];
} EbbLnnSolver;

/* Adaptive sub-steps: R, the error's polynomial, and the tolerances. */
typedef struct EbbLnnControl {
  double r[EBB_LNN_COEFFICIENTS], e[EBB_LNN_COEFFICIENTS];
  double atol, rtol, first_step;
  int64_t attempts, groups, group_rows; /* a group has its own sub-steps: all rows, or each one */
} EbbLnnControl;

/* All pointers are disjoint device memory of the graph. */
typedef struct EbbLnnScanArgs {
  const float *tau, *a;           /* (B, T, H) each, read again by backward */
  const float *elapsed;           /* (B, T) or NULL */
  const int32_t *lengths;         /* (B) in 0..T, or NULL */
  const float *h0;                /* (B, H) or NULL */
  float *dtau, *da, *dh0;         /* as tau, a, h0, or NULL */
  bool add_dtau, add_da, add_dh0; /* add to what is there, else overwrite */
  float *h;                       /* (B, T, H), read again by backward */
  const float *dh;                /* (B, T, H) or NULL */
  float *final;                   /* (B, H) or NULL */
  const float *dfinal;            /* (B, H) or NULL */
  float *log;            /* (groups, T, attempts, 3): time, length and error of tried sub-steps, or NULL */
  float *stiffness;      /* () or NULL */
  double *taken;         /* (groups, T, attempts): lengths of accepted sub-steps, forward to backward */
  int32_t *counts;       /* (groups, T): how many there are, forward to backward */
  double *state, *trial; /* (B, H) scratch of adaptive forward */
  double *row_error;     /* (B) scratch of it on the CPU */
  int64_t B, T, H;
  bool adaptive;
  EbbLnnGuard guard;
  EbbLnnSolver solver;
  EbbLnnControl control;
} EbbLnnScanArgs;

/* h' = keep h + gain a, gain = 1 - keep; slope = d keep / d tau. */
typedef struct EbbLnnFactor {
  float keep, gain, slope;
} EbbLnnFactor;

EBB_INLINE EbbLnnFactor ebb_lnn_exact(float z, float tau) {
  const float keep = ebb_expf(z);
  const EbbLnnFactor factor = {keep, -ebb_expm1f(z), keep * (-z / tau)};
  return factor;
}

/* gain = -z (r_1 + r_2 z + ...) loses no digits where z is small. */
EBB_INLINE EbbLnnFactor ebb_lnn_polynomial(const float *r, float z, float tau) {
  float value = 0, slope = 0;
  for (int k = EBB_LNN_COEFFICIENTS - 1; k >= 1; k--) {
    value = value * z + r[k];
    slope = slope * z + (float)k * r[k];
  }
  const EbbLnnFactor factor = {1.0f + value * z, -value * z, slope * (-z / tau)};
  return factor;
}

/* The polynomial within its limit, exact beyond. */
EBB_INLINE EbbLnnFactor ebb_lnn_mended(const EbbLnnSolver *solver, float z, float tau) {
  const EbbLnnFactor exact = ebb_lnn_exact(z, tau), factor = ebb_lnn_polynomial(solver->r, z, tau);
  const bool beyond = -z > solver->limit;
  const EbbLnnFactor mended = {beyond ? exact.keep : factor.keep, beyond ? exact.gain : factor.gain,
                               beyond ? exact.slope : factor.slope};
  return mended;
}

/* One sub-step of length dt. */
EBB_INLINE EbbLnnFactor ebb_lnn_step(const EbbLnnSolver *solver, float tau, float dt) {
  const float z = -dt / tau;
  if (solver->exact) return ebb_lnn_exact(z, tau);
  return solver->fall_back ? ebb_lnn_mended(solver, z, tau) : ebb_lnn_polynomial(solver->r, z, tau);
}

/* First one, then the other. */
EBB_INLINE EbbLnnFactor ebb_lnn_chain(EbbLnnFactor first, EbbLnnFactor then) {
  const EbbLnnFactor both = {first.keep * then.keep, first.gain * then.keep + then.gain,
                             first.slope * then.keep + first.keep * then.slope};
  return both;
}

EBB_INLINE double ebb_lnn_horner(const double *r, double z) {
  double value = 0;
  for (int k = EBB_LNN_COEFFICIENTS - 1; k >= 0; k--) value = value * z + r[k];
  return value;
}

/* Tries a sub-step from h: *next is where it leads; returns the square of its error in tolerances. */
EBB_INLINE double ebb_lnn_try(const EbbLnnControl *control, double tau, double a, double dt, double h,
                              double *next) {
  const double z = -dt / tau, away = h - a;
  *next = a + away * ebb_lnn_horner(control->r, z);
  const double error = away * ebb_lnn_horner(control->e, z);
  const double size = fabs(h) > fabs(*next) ? fabs(h) : fabs(*next);
  const double share = error == 0 ? 0 : error / (control->atol + control->rtol * size);
  return share * share;
}

/* How long step t of row b is, and whether the row still moves then. */
EBB_INLINE float ebb_lnn_elapsed(const EbbLnnScanArgs *args, int64_t b, int64_t t) {
  return args->elapsed ? args->elapsed[b * args->T + t] : 1.0f;
}
EBB_INLINE bool ebb_lnn_moves(const EbbLnnScanArgs *args, int64_t b, int64_t t) {
  return !args->lengths || t < args->lengths[b];
}

#endif
