#include "ebb/schedule.h"

#include <math.h>
#include <stddef.h>

typedef double (*FactorFn)(const EbbSchedule *schedule, int64_t step, int64_t epoch, const EbbPlateau *state);
typedef EbbStatus (*CheckFn)(const EbbSchedule *schedule);

static double constant(const EbbSchedule *schedule, int64_t step, int64_t epoch, const EbbPlateau *state) {
  (void)schedule, (void)step, (void)epoch, (void)state;
  return 1;
}

static double cosine(const EbbSchedule *schedule, int64_t step, int64_t epoch, const EbbPlateau *state) {
  (void)epoch, (void)state;
  const double w = (double)schedule->warmup;
  if (step < schedule->warmup) return (double)step / w;
  const double span = fmax(1, (double)schedule->total - w);
  return fmax(0, 0.5 * (1 + cos(3.14159265358979323846 * ((double)step - w) / span)));
}

static double cosine_clamped(const EbbSchedule *schedule, int64_t step, int64_t epoch,
                             const EbbPlateau *state) {
  return step >= schedule->total && step >= schedule->warmup ? 0 : cosine(schedule, step, epoch, state);
}

static double multistep(const EbbSchedule *schedule, int64_t step, int64_t epoch, const EbbPlateau *state) {
  (void)step, (void)state;
  double factor = 1;
  for (int i = 0; i < schedule->n_milestones; i++)
    if (schedule->milestones[i] <= epoch) factor *= schedule->gamma;
  return factor;
}

static double plateau(const EbbSchedule *schedule, int64_t step, int64_t epoch, const EbbPlateau *state) {
  (void)schedule, (void)step, (void)epoch;
  return state->factor;
}

static EbbStatus check_nothing(const EbbSchedule *schedule) {
  (void)schedule;
  return EBB_OK;
}

static EbbStatus check_cosine(const EbbSchedule *schedule) {
  if (schedule->warmup < 0)
    return ebb_fail(EBB_INVALID, "num_warmup_steps is %lld; it must be at least 0",
                    (long long)schedule->warmup);
  if (schedule->total < 1)
    return ebb_fail(EBB_INVALID, "num_training_steps is %lld; it must be at least 1",
                    (long long)schedule->total);
  return EBB_OK;
}

static EbbStatus check_multistep(const EbbSchedule *schedule) {
  if (!(schedule->gamma >= 0 && schedule->gamma <= 1))
    return ebb_fail(EBB_INVALID, "gamma of the multistep schedule is %g; it must be within 0..1",
                    schedule->gamma);
  for (int i = 0; i < schedule->n_milestones; i++)
    if (schedule->milestones[i] < 1)
      return ebb_fail(EBB_INVALID,
                      "milestone %lld of the multistep schedule; milestones are epochs from 1 on",
                      (long long)schedule->milestones[i]);
  return EBB_OK;
}

static EbbStatus check_plateau(const EbbSchedule *schedule) {
  if (schedule->patience < 0)
    return ebb_fail(EBB_INVALID, "patience of the plateau schedule is %lld; it must be at least 0",
                    (long long)schedule->patience);
  if (!(schedule->factor >= 0 && schedule->factor < 1))
    return ebb_fail(EBB_INVALID, "factor of the plateau schedule is %g; it must be at least 0 and below 1",
                    schedule->factor);
  if (!(schedule->threshold >= 0))
    return ebb_fail(EBB_INVALID, "threshold of the plateau schedule is %g; it must be at least 0",
                    schedule->threshold);
  return EBB_OK;
}

static const struct {
  FactorFn factor;
  CheckFn check;
} kinds[EBB_SCHEDULES] = {
    [EBB_SCHEDULE_CONSTANT] = {constant, check_nothing},
    [EBB_SCHEDULE_COSINE_WARMUP] = {cosine, check_cosine},
    [EBB_SCHEDULE_COSINE_WARMUP_CLAMPED] = {cosine_clamped, check_cosine},
    [EBB_SCHEDULE_MULTISTEP] = {multistep, check_multistep},
    [EBB_SCHEDULE_PLATEAU] = {plateau, check_plateau},
};

EbbStatus ebb_schedule_check(const EbbSchedule *schedule) {
  if ((unsigned)schedule->kind >= EBB_SCHEDULES)
    return ebb_fail(EBB_INVALID, "schedule kind %d does not exist", (int)schedule->kind);
  return kinds[schedule->kind].check(schedule);
}

double ebb_schedule_factor(const EbbSchedule *schedule, int64_t step, int64_t epoch,
                           const EbbPlateau *state) {
  return kinds[schedule->kind].factor(schedule, step, epoch, state);
}

EbbPlateau ebb_plateau_start(void) { return (EbbPlateau){.best = 0, .bad_epochs = -1, .factor = 1}; }

static bool better(const EbbSchedule *schedule, const EbbPlateau *state, double value) {
  if (state->bad_epochs < 0) return !isnan(value);
  const double margin = fabs(state->best) * schedule->threshold;
  return schedule->maximise ? value > state->best + margin : value < state->best - margin;
}

void ebb_plateau_update(const EbbSchedule *schedule, EbbPlateau *state, double value) {
  if (schedule->kind != EBB_SCHEDULE_PLATEAU) return;
  if (better(schedule, state, value)) {
    state->best = value, state->bad_epochs = 0;
    return;
  }
  if (state->bad_epochs < 0) return; /* nothing but NaN so far */
  if (++state->bad_epochs <= schedule->patience) return;
  state->factor *= schedule->factor;
  state->bad_epochs = 0;
}
