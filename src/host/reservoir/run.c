/* States of a reservoir, and its run over sequences. */
#include <stdlib.h>
#include <string.h>

#include "host/finite.h"
#include "host/reservoir/reservoir_internal.h"

enum { MAX_BATCH = 1 << 20 };

static int64_t field_size(const EbbReservoirState *state) {
  return (int64_t)state->batch * state->reservoir->units;
}

EbbStatus ebb_reservoir_state_create(const EbbReservoir *reservoir, int batch, EbbReservoirState **out) {
  *out = NULL;
  if (batch < 1 || batch > MAX_BATCH)
    return ebb_fail(EBB_INVALID, "a state of %d sequences; 1 to %d are possible", batch, MAX_BATCH);
  EbbReservoirState *state = calloc(1, sizeof *state);
  if (state) *state = (EbbReservoirState){.reservoir = reservoir, .batch = batch};
  const int64_t fields = reservoir->kind->n_fields;
  if (state) state->values = calloc((size_t)((fields + 1) * field_size(state)), sizeof *state->values);
  if (!state || !state->values) {
    free(state);
    return ebb_fail(EBB_MEMORY, "no memory for the state of %d sequences", batch);
  }
  state->scratch = state->values + fields * field_size(state);
  ebb_reservoir_state_reset(state);
  *out = state;
  return EBB_OK;
}

void ebb_reservoir_state_reset(EbbReservoirState *state) {
  const int64_t size = field_size(state);
  memset(state->values, 0, (size_t)(state->reservoir->kind->n_fields * size) * sizeof *state->values);
  if (state->reservoir->kind != &reservoir_spiking) return;
  for (int64_t i = 0; i < size; i++)
    state->values[SPIKING_V * size + i] = state->reservoir->setting[SPIKING_V_RESET];
}

void ebb_reservoir_state_destroy(EbbReservoirState *state) {
  if (!state) return;
  free(state->values);
  free(state);
}

double *ebb_reservoir_field(EbbReservoirState *state, const char *field) {
  const ReservoirKind *kind = state->reservoir->kind;
  for (int i = 0; i < kind->n_fields; i++)
    if (!strcmp(kind->field[i], field)) return state->values + i * field_size(state);
  return NULL;
}

static void run_sequence(const EbbReservoir *r, EbbReservoirState *state, int64_t b, int64_t steps,
                         const double *u, double *y) {
  Sequence sequence = {.scratch = state->scratch + b * r->units};
  for (int i = 0; i < r->kind->n_fields; i++)
    sequence.field[i] = state->values + i * field_size(state) + b * r->units;
  for (int64_t t = 0; t < steps; t++) {
    const int64_t at = b * steps + t;
    r->kind->step(r, &sequence, u + at * r->inputs);
    if (y) memcpy(y + at * r->units, sequence.field[r->kind->output], (size_t)r->units * sizeof *y);
  }
}

EbbStatus ebb_reservoir_run(const EbbReservoir *reservoir, EbbReservoirState *state, int64_t steps,
                            const double *u, double *y) {
  if (state->reservoir != reservoir) return ebb_fail(EBB_INVALID, "the state belongs to another reservoir");
  if (steps < 0) return ebb_fail(EBB_INVALID, "a run of %lld steps", (long long)steps);
  EBB_TRY(ebb_check_finite("the reservoir's input u", u, state->batch * steps * reservoir->inputs));
#pragma omp parallel for schedule(dynamic)
  for (int b = 0; b < state->batch; b++) run_sequence(reservoir, state, b, steps, u, y);
  return EBB_OK;
}

EbbStatus ebb_reservoir_step(const EbbReservoir *reservoir, EbbReservoirState *state, const double *u,
                             double *y) {
  return ebb_reservoir_run(reservoir, state, 1, u, y);
}
