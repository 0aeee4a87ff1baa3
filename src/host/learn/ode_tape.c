/* Memory of the ODE solver: stages of a step, and tapes. */
#include <stdlib.h>
#include <string.h>

#include "host/learn/ode_internal.h"

bool stages_create(int64_t n, Stages *out) {
  const size_t bytes = sizeof(double) * (size_t)n * EBB_STAGES;
  *out = (Stages){.n = n, .k = malloc(bytes), .point = malloc(bytes)};
  return out->k && out->point;
}

void stages_destroy(Stages *stages) {
  free(stages->k);
  free(stages->point);
  *stages = (Stages){0};
}

static void tape_empty(EbbOdeTape *tape) {
  for (int64_t i = 0; i < tape->tracks; i++) {
    free(tape->track[i].t);
    free(tape->track[i].dt);
    free(tape->track[i].state);
  }
  free(tape->track);
  free(tape->trial);
  *tape = (EbbOdeTape){0};
}

EbbStatus ebb_ode_tape_create(EbbOdeTape **out) {
  *out = calloc(1, sizeof **out);
  return *out ? EBB_OK : ebb_fail(EBB_MEMORY, "ode: no memory for a tape");
}

void ebb_ode_tape_destroy(EbbOdeTape *tape) {
  if (!tape) return;
  tape_empty(tape);
  free(tape);
}

const EbbOdeTrial *ebb_ode_tape_trials(const EbbOdeTape *tape, int64_t *count) {
  *count = tape->trials;
  return tape->trial;
}

EbbStatus tape_start(EbbOdeTape *tape, const EbbOdeConfig *config, int64_t B, int64_t D) {
  tape_empty(tape);
  const int64_t tracks = config->per_sample ? B : 1;
  tape->track = calloc((size_t)tracks, sizeof *tape->track);
  if (!tape->track) return ebb_fail(EBB_MEMORY, "ode: no memory for a tape of %lld rows", (long long)B);
  tape->tableau = config->tableau, tape->B = B, tape->D = D;
  tape->checkpoint = config->checkpoint, tape->tracks = tracks;
  for (int64_t i = 0; i < tracks; i++)
    tape->track[i].first = i, tape->track[i].rows = config->per_sample ? 1 : B;
  return EBB_OK;
}

/* Room for one more element of `bytes`; *memory is the address of a pointer. */
static EbbStatus grow(void *memory, int64_t count, int64_t *room, size_t bytes) {
  if (count < *room) return EBB_OK;
  const int64_t wanted = *room ? 2 * *room : 16;
  void *old;
  memcpy(&old, memory, sizeof old);
  void *grown = realloc(old, (size_t)wanted * bytes);
  if (!grown) return ebb_fail(EBB_MEMORY, "ode: no memory for a tape of %lld steps", (long long)wanted);
  memcpy(memory, &grown, sizeof grown);
  *room = wanted;
  return EBB_OK;
}

EbbStatus tape_trial(EbbOdeTape *tape, const EbbOdeTrial *trial) {
  EBB_TRY(grow((void *)&tape->trial, tape->trials, &tape->trials_room, sizeof *trial));
  tape->trial[tape->trials++] = *trial;
  return EBB_OK;
}

EbbStatus tape_step(EbbOdeTape *tape, Track *track, double t, double dt, const double *x) {
  const size_t bytes = sizeof(double) * (size_t)(track->rows * tape->D);
  int64_t room = track->steps_room;
  EBB_TRY(grow((void *)&track->t, track->steps, &room, sizeof t));
  EBB_TRY(grow((void *)&track->dt, track->steps, &track->steps_room, sizeof dt));
  if (track->steps % tape->checkpoint == 0) {
    EBB_TRY(grow((void *)&track->state, track->kept, &track->kept_room, bytes));
    memcpy((char *)track->state + (size_t)track->kept++ * bytes, x, bytes);
  }
  track->t[track->steps] = t, track->dt[track->steps++] = dt;
  return EBB_OK;
}
