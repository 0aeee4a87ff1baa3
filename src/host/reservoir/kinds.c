/* What a step does: leaky units and spiking ones. */
#include <math.h>
#include <string.h>

#include "host/reservoir/reservoir_internal.h"

/* W_in u + W x of a unit. */
static double drive(const EbbReservoir *r, int unit, const double *u, const double *x) {
  const double *weight = r->W_in + (int64_t)unit * r->inputs;
  double sum = 0;
  for (int i = 0; i < r->inputs; i++) sum += weight[i] * u[i];
  return sum + sparse_row_times(&r->W, unit, x);
}

static void step_echo(const EbbReservoir *r, const Sequence *sequence, const double *u) {
  const double leak = r->setting[ECHO_LEAK];
  double *h = sequence->field[ECHO_H];
  for (int i = 0; i < r->units; i++) sequence->scratch[i] = tanh(drive(r, i, u, h));
  for (int i = 0; i < r->units; i++) h[i] = (1 - leak) * h[i] + leak * sequence->scratch[i];
}

static void step_spiking(const EbbReservoir *r, const Sequence *sequence, const double *u) {
  const double *p = r->setting;
  const double keep = exp(-p[SPIKING_DT] / p[SPIKING_TAU_SYN]), fade = exp(-p[SPIKING_DT] / p[SPIKING_TAU_M]);
  double *const *field = sequence->field;
  for (int i = 0; i < r->units; i++) sequence->scratch[i] = drive(r, i, u, field[SPIKING_SPIKE]);
  for (int i = 0; i < r->units; i++) {
    double *v = &field[SPIKING_V][i], *current = &field[SPIKING_CURRENT][i],
           *left = &field[SPIKING_REFRACTORY][i];
    *current = *current * keep + p[SPIKING_GAIN_IN] * sequence->scratch[i];
    const bool refractory = *left > 0;
    const double slope = -(*v - p[SPIKING_V_RESET]) + p[SPIKING_GAIN_SYN] * *current;
    if (!refractory) *v += p[SPIKING_DT] / p[SPIKING_TAU_M] * slope;
    const bool spike = !refractory && *v >= p[SPIKING_V_TH];
    if (refractory) *left -= 1;
    if (spike) *v = p[SPIKING_V_RESET], *left = p[SPIKING_REFRACTORY_STEPS];
    field[SPIKING_SPIKE][i] = spike;
    field[SPIKING_TRACE][i] = field[SPIKING_TRACE][i] * fade + spike;
  }
}

#define LARGE 1e6

const ReservoirKind reservoir_echo = {.name = "echo",
                                      .field = {[ECHO_H] = "h"},
                                      .n_fields = 1,
                                      .output = ECHO_H,
                                      .setting = {[ECHO_LEAK] = {"leak", 0, 1, .open = true}},
                                      .n_settings = 1,
                                      .step = step_echo};

const ReservoirKind reservoir_spiking = {
    .name = "spiking",
    .field = {[SPIKING_V] = "v",
              [SPIKING_CURRENT] = "current",
              [SPIKING_SPIKE] = "spike",
              [SPIKING_TRACE] = "trace",
              [SPIKING_REFRACTORY] = "refractory"},
    .n_fields = 5,
    .output = SPIKING_TRACE,
    .setting = {[SPIKING_DT] = {"dt", 0, LARGE, .open = true},
                [SPIKING_TAU_M] = {"tau_m", 0, LARGE, .open = true},
                [SPIKING_TAU_SYN] = {"tau_syn", 0, LARGE, .open = true},
                [SPIKING_V_TH] = {"v_th", -LARGE, LARGE, false, false},
                [SPIKING_V_RESET] = {"v_reset", -LARGE, LARGE, false, false},
                [SPIKING_GAIN_IN] = {"gain_in", -LARGE, LARGE, false, false},
                [SPIKING_GAIN_SYN] = {"gain_syn", -LARGE, LARGE, false, false},
                [SPIKING_REFRACTORY_STEPS] = {"refractory_steps", 0, LARGE, .whole = true}},
    .n_settings = 8,
    .positive_inputs = true,
    .step = step_spiking};
