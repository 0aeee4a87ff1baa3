/* What the files of the ODE solver share. */
#ifndef EBB_HOST_LEARN_ODE_INTERNAL_H
#define EBB_HOST_LEARN_ODE_INTERNAL_H

#include "ebb/ode.h"

/* The steps that `rows` rows from `first` on have taken together. */
typedef struct Track {
  int64_t first, rows;
  int64_t steps, steps_room;
  double *t, *dt; /* (steps) each */
  int64_t kept, kept_room;
  double *state; /* (kept, rows, D): before step 0, checkpoint, 2 checkpoint ... */
} Track;

struct EbbOdeTape {
  bool solved; /* to the end */
  const EbbTableau *tableau;
  int64_t B, D, checkpoint;
  int64_t tracks;
  Track *track;
  int64_t trials, trials_room;
  EbbOdeTrial *trial;
};

/* Empties the tape and takes note of a problem. Errors: MEMORY. */
EbbStatus tape_start(EbbOdeTape *tape, const EbbOdeConfig *config, int64_t B, int64_t D) EBB_MUST_CHECK;
EbbStatus tape_trial(EbbOdeTape *tape, const EbbOdeTrial *trial) EBB_MUST_CHECK;
/* A step of the track from the state x. */
EbbStatus tape_step(EbbOdeTape *tape, Track *track, double t, double dt, const double *x) EBB_MUST_CHECK;

/* Memory of a step of n = rows D numbers. */
typedef struct Stages {
  int64_t n;
  double *k;     /* (EBB_STAGES, n): slopes */
  double *point; /* (EBB_STAGES, n): where they were taken */
} Stages;
/* false: no memory; stages_destroy all the same. */
bool stages_create(int64_t n, Stages *out) EBB_MUST_CHECK;
void stages_destroy(Stages *stages);

/* One step's problem: which rows, from where. */
typedef struct Step {
  const EbbTableau *tableau;
  const EbbOdeRhs *rhs;
  int64_t first, rows;
  double t, dt;
} Step;
/* Fills k and point. */
EbbStatus stages_fill(Stages *stages, const Step *step, const double *x) EBB_MUST_CHECK;
/* y = x + dt sum_i weight_i k_i; x may be NULL, for 0, or y. */
void stages_combine(const Stages *stages, int count, const double *weight, double dt, const double *x,
                    double *y);

#endif
