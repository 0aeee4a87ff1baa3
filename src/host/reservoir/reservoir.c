#include "ebb/reservoir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/finite.h"
#include "host/reservoir/reservoir_internal.h"

static EbbStatus check_setting(const ReservoirSetting *row, double value) {
  const bool inside = value >= row->min && value <= row->max && !(row->open && value == row->min);
  if (inside && (!row->whole || value == floor(value))) return EBB_OK;
  return ebb_fail(EBB_INVALID, "%s of a reservoir is %g; it is %s %g%s %g", row->name, value,
                  row->open ? "above" : "a number from", row->min, row->open ? ", up to" : " to", row->max);
}

static EbbStatus check(const EbbReservoir *r) {
  if (r->units < 1 || r->units > RESERVOIR_MAX_UNITS || r->inputs < 1 || r->inputs > RESERVOIR_MAX_INPUTS)
    return ebb_fail(EBB_INVALID, "a reservoir of %d units and %d inputs; 1 to %d of both are possible",
                    r->units, r->inputs, RESERVOIR_MAX_UNITS);
  for (int i = 0; i < r->kind->n_settings; i++) EBB_TRY(check_setting(&r->kind->setting[i], r->setting[i]));
  if (r->kind != &reservoir_spiking) return EBB_OK;
  if (r->setting[SPIKING_V_TH] <= r->setting[SPIKING_V_RESET])
    return ebb_fail(EBB_INVALID, "v_th %g is not above v_reset %g: the units would always spike",
                    r->setting[SPIKING_V_TH], r->setting[SPIKING_V_RESET]);
  if (r->setting[SPIKING_DT] >= 2 * r->setting[SPIKING_TAU_M])
    return ebb_fail(EBB_INVALID, "dt %g is not below 2 tau_m = %g: the Euler step of v would be unstable",
                    r->setting[SPIKING_DT], 2 * r->setting[SPIKING_TAU_M]);
  return EBB_OK;
}

EbbStatus reservoir_create(const ReservoirKind *kind, int inputs, int units, const double *setting,
                           EbbReservoir **out) {
  *out = NULL;
  EbbReservoir *r = calloc(1, sizeof *r);
  if (!r) {
    (void)ebb_fail(EBB_MEMORY, "no memory for a reservoir");
    return EBB_MEMORY;
  }
  r->kind = kind, r->inputs = inputs, r->units = units;
  memcpy(r->setting, setting, (size_t)kind->n_settings * sizeof *setting);
  EbbStatus status = check(r);
  if (status == EBB_OK) r->W_in = calloc((size_t)units * (size_t)inputs, sizeof *r->W_in);
  if (status == EBB_OK && !r->W_in)
    status = ebb_fail(EBB_MEMORY, "no memory for a reservoir of %d units and %d inputs", units, inputs);
  return reservoir_finish(status, r, out);
}

EbbStatus reservoir_finish(EbbStatus status, EbbReservoir *reservoir, EbbReservoir **out) {
  *out = status == EBB_OK ? reservoir : NULL;
  if (status != EBB_OK) ebb_reservoir_destroy(reservoir);
  return status;
}

void ebb_reservoir_destroy(EbbReservoir *reservoir) {
  if (!reservoir) return;
  free(reservoir->W_in);
  sparse_free(&reservoir->W);
  free(reservoir);
}

EbbStatus reservoir_take(EbbReservoir *r, const EbbReservoirWeights *weights) {
  const int64_t units = r->units, size = units * units;
  EBB_TRY(ebb_check_finite("W_in", weights->W_in, units * r->inputs));
  EBB_TRY(ebb_check_finite("W", weights->W, size));
  int64_t entries = 0;
  for (int64_t i = 0; i < size; i++) entries += weights->W[i] != 0;
  EBB_TRY(sparse_create(r->units, entries, &r->W));
  int64_t at = 0;
  for (int64_t i = 0; i < size; i++) {
    if (i % units == 0) r->W.start[i / units] = at;
    if (weights->W[i] == 0) continue;
    r->W.column[at] = (int)(i % units);
    r->W.value[at++] = weights->W[i];
  }
  r->W.start[units] = at;
  memcpy(r->W_in, weights->W_in, (size_t)(units * r->inputs) * sizeof *r->W_in);
  return EBB_OK;
}

static EbbStatus make(const ReservoirKind *kind, const double *setting, int inputs, int units,
                      const EbbReservoirDraw *draw, const EbbReservoirWeights *weights, EbbReservoir **out) {
  EBB_TRY(reservoir_create(kind, inputs, units, setting, out));
  EbbReservoir *made = *out;
  return reservoir_finish(draw ? reservoir_draw(made, draw) : reservoir_take(made, weights), made, out);
}

typedef struct Settings {
  double value[RESERVOIR_MAX_SETTINGS];
} Settings;

static Settings spiking_settings(const EbbSpiking *s) {
  return (Settings){{[SPIKING_DT] = s->dt,
                     [SPIKING_TAU_M] = s->tau_m,
                     [SPIKING_TAU_SYN] = s->tau_syn,
                     [SPIKING_V_TH] = s->v_th,
                     [SPIKING_V_RESET] = s->v_reset,
                     [SPIKING_GAIN_IN] = s->gain_in,
                     [SPIKING_GAIN_SYN] = s->gain_syn,
                     [SPIKING_REFRACTORY_STEPS] = s->refractory_steps}};
}

EbbStatus ebb_reservoir_echo_draw(const EbbEcho *echo, int inputs, int units, const EbbReservoirDraw *draw,
                                  EbbReservoir **out) {
  return make(&reservoir_echo, &echo->leak, inputs, units, draw, NULL, out);
}

EbbStatus ebb_reservoir_echo(const EbbEcho *echo, int inputs, int units, const EbbReservoirWeights *weights,
                             EbbReservoir **out) {
  return make(&reservoir_echo, &echo->leak, inputs, units, NULL, weights, out);
}

EbbStatus ebb_reservoir_spiking_draw(const EbbSpiking *spiking, int inputs, int units,
                                     const EbbReservoirDraw *draw, EbbReservoir **out) {
  const Settings settings = spiking_settings(spiking);
  return make(&reservoir_spiking, settings.value, inputs, units, draw, NULL, out);
}

EbbStatus ebb_reservoir_spiking(const EbbSpiking *spiking, int inputs, int units,
                                const EbbReservoirWeights *weights, EbbReservoir **out) {
  const Settings settings = spiking_settings(spiking);
  return make(&reservoir_spiking, settings.value, inputs, units, NULL, weights, out);
}

int ebb_reservoir_units(const EbbReservoir *reservoir) { return reservoir->units; }
int ebb_reservoir_inputs(const EbbReservoir *reservoir) { return reservoir->inputs; }
int64_t ebb_reservoir_synapses(const EbbReservoir *reservoir) { return reservoir->W.start[reservoir->units]; }
EbbStatus ebb_reservoir_radius(const EbbReservoir *reservoir, double *radius) {
  return sparse_radius(&reservoir->W, radius);
}

void ebb_reservoir_weights(const EbbReservoir *reservoir, double *W_in, double *W) {
  const int64_t units = reservoir->units;
  memcpy(W_in, reservoir->W_in, (size_t)(units * reservoir->inputs) * sizeof *W_in);
  memset(W, 0, (size_t)(units * units) * sizeof *W);
  for (int64_t row = 0; row < units; row++)
    for (int64_t i = reservoir->W.start[row]; i < reservoir->W.start[row + 1]; i++)
      W[row * units + reservoir->W.column[i]] = reservoir->W.value[i];
}
