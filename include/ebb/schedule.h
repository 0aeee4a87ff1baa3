/* Learning-rate schedules: a factor on every group's rate as a pure function of step, epoch and, for plateau,
   a small state that goes into checkpoints. */
#ifndef EBB_SCHEDULE_H
#define EBB_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In the order of the choices of scheduler._name_. With s updates done, w warm-up and T total steps:
   cosine_warmup: s / w for s < w (the first update has rate 0), then (1 + cos(pi (s - w) / (T - w))) / 2,
   which rises again after T, as published; cosine_warmup_clamped stays at its end value 0 from T on.
   multistep: gamma for each milestone <= epoch. plateau: the state's factor. Source: raminmh/liquid-s4 with
   transformers' get_cosine_schedule_with_warmup; torch's MultiStepLR and ReduceLROnPlateau. */
typedef enum EbbScheduleKind {
  EBB_SCHEDULE_CONSTANT,
  EBB_SCHEDULE_COSINE_WARMUP,
  EBB_SCHEDULE_COSINE_WARMUP_CLAMPED,
  EBB_SCHEDULE_MULTISTEP,
  EBB_SCHEDULE_PLATEAU,
  EBB_SCHEDULES
} EbbScheduleKind;

typedef struct EbbSchedule {
  EbbScheduleKind kind;
  int64_t warmup, total;     /* steps */
  const int64_t *milestones; /* epochs, in any order; must outlive the schedule */
  int n_milestones;
  double gamma;
  int64_t patience; /* epochs without a better value that are borne; the next one lowers the rate */
  double factor;    /* what a plateau multiplies the rate by */
  double threshold; /* better by less than this part of the best does not count; torch's default is 1e-4 */
  bool maximise;    /* the monitored value is better when larger */
} EbbSchedule;

/* What a plateau schedule remembers. Start from ebb_plateau_start. */
typedef struct EbbPlateau {
  double best;
  int64_t bad_epochs; /* -1: no epoch was seen */
  double factor;
} EbbPlateau;

EbbPlateau ebb_plateau_start(void);

/* Takes in the monitored value of a finished epoch; NaN counts as no better. Other kinds: nothing happens. */
void ebb_plateau_update(const EbbSchedule *schedule, EbbPlateau *state, double value);

/* Errors: INVALID with the setting's name and value. */
EbbStatus ebb_schedule_check(const EbbSchedule *schedule) EBB_MUST_CHECK;

/* The factor for the update after `step` updates (so 0 for the first), in epoch `epoch` (from 0). state may
   be NULL except for plateau. The schedule has passed ebb_schedule_check. */
double ebb_schedule_factor(const EbbSchedule *schedule, int64_t step, int64_t epoch, const EbbPlateau *state);

#ifdef __cplusplus
}
#endif
#endif
