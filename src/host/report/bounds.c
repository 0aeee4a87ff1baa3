/* Bounds of time constants and states.

   Conductance LTC: cm dv/dt = gleak (vleak - v) + sum w s (E - v), the sum over synapses from neurons and
   sensors, 0 <= s <= 1. The rate (gleak + sum w s) / cm lies between gleak / cm and (gleak + sum w) / cm,
   because w >= 0. With tau = cm / gleak and W = sum w / cm this is the paper's tau / (1 + tau W) <= tau_sys
   <= tau. v is pulled to a mean of vleak and the potentials E with weights >= 0, and starts at 0: it stays
   between the least and the greatest of 0, vleak and E. A fused sub-step is such a mean itself, of v, these,
   and 0 with the weight epsilon, so the bound holds for any step; one of Euler is while h lambda <= 1, and
   may leave it beyond, though stable up to
   2. A memory cell in front replaces v by a number between -1 and 1 at every step: these join the bounds.

   Vector form: dx/dt = -(1/tau + f) x + f A with a sigmoid f has 1/tau <= rate <= 1/tau + 1, so W = 1, and
   stays between 0 and A. With tanh f can be negative, and neither bound holds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/report/report_internal.h"

/* A parameter as the program reads it, after its map; to be freed. */
static EbbStatus read_values(const EbbCell *cell, const EbbParams *params, const char *scope, int param,
                             float **out) {
  const EbbCellParam *p = &cell->param[param];
  char name[192];
  snprintf(name, sizeof name, "%s.%s", scope, p->name);
  *out = malloc((size_t)p->size * sizeof **out);
  if (!*out) {
    (void)ebb_fail(EBB_MEMORY, "no memory for '%s'", name);
    return EBB_MEMORY;
  }
  EBB_TRY(ebb_params_read(params, name, *out, p->size));
  for (int32_t i = 0; p->map == EBB_CELL_SOFTPLUS_OF && i < p->size; i++) {
    const float x = (*out)[i];
    (*out)[i] = x > 20 ? x : log1pf(expf(x));
  }
  return EBB_OK;
}

static EbbStatus read_named(const EbbCell *cell, const EbbParams *params, const char *scope, const char *name,
                            float **out) {
  *out = NULL;
  const int param = ebb_cell_find_param(cell, name);
  if (param < 0) {
    (void)ebb_fail(EBB_NOT_FOUND, "cell '%s' has no parameter '%s'", cell->name, name);
    return EBB_NOT_FOUND;
  }
  return read_values(cell, params, scope, param, out);
}

static void widen(EbbNeuronReport *n, double value) {
  n->state_low = fmin(n->state_low, value), n->state_high = fmax(n->state_high, value);
}

/* weight[j] += the sum of w into j, and the potentials widen the bounds. */
static EbbStatus add_synapses(const EbbCell *cell, const EbbCellSynapses *table, const EbbParams *params,
                              const char *scope, double *weight, EbbLayerReport *layer) {
  float *w = NULL, *erev = NULL;
  EbbStatus status = read_values(cell, params, scope, table->w, &w);
  if (status == EBB_OK) status = read_values(cell, params, scope, table->erev, &erev);
  for (int32_t k = 0; status == EBB_OK && k < table->count; k++) {
    const int64_t at = (int64_t)table->source[k] * table->targets + table->target[k];
    weight[table->target[k]] += (double)w[at];
    widen(&layer->neuron[table->target[k]], (double)erev[at]);
  }
  free(w);
  free(erev);
  return status;
}

static EbbStatus fill_conductance(const EbbCell *cell, const EbbParams *params, const char *scope, float **v,
                                  double *weight, EbbLayerReport *layer) {
  static const char *const names[] = {"gleak", "vleak", "cm"};
  for (int i = 0; i < 3; i++) {
    const bool aaai = i == 2 && ebb_cell_find_param(cell, "cm") < 0;
    EBB_TRY(read_named(cell, params, scope, aaai ? "cm_t" : names[i], &v[i]));
  }
  const bool memory = ebb_cell_find_param(cell, "lstm.input_map.weight") >= 0;
  for (int64_t j = 0; j < layer->n; j++) {
    layer->neuron[j].state_low = memory ? -1 : 0, layer->neuron[j].state_high = memory ? 1 : 0;
    widen(&layer->neuron[j], (double)v[1][j]);
  }
  for (int32_t t = 0; t < cell->n_tables; t++)
    EBB_TRY(add_synapses(cell, &cell->table[t], params, scope, weight, layer));
  for (int64_t j = 0; j < layer->n; j++) {
    layer->neuron[j].tau_low = (double)v[2][j] / ((double)v[0][j] + weight[j]);
    layer->neuron[j].tau_high = (double)v[2][j] / (double)v[0][j];
  }
  return EBB_OK;
}

static EbbStatus bound_conductance(const EbbCell *cell, const EbbParams *params, const char *scope,
                                   EbbLayerReport *layer) {
  float *v[3] = {0};
  double *weight = calloc((size_t)layer->n, sizeof *weight);
  const EbbStatus status = weight ? fill_conductance(cell, params, scope, v, weight, layer)
                                  : ebb_fail(EBB_MEMORY, "no memory for the bounds of '%s'", scope);
  for (int i = 0; i < 3; i++) free(v[i]);
  free(weight);
  return status;
}

static EbbStatus bound_vector(const EbbCell *cell, const EbbParams *params, const char *scope,
                              EbbLayerReport *layer) {
  float *tau = NULL, *A = NULL;
  EbbStatus status = read_named(cell, params, scope, "tau", &tau);
  if (status == EBB_OK) status = read_named(cell, params, scope, "A", &A);
  for (int64_t j = 0; status == EBB_OK && j < layer->n; j++) {
    EbbNeuronReport *n = &layer->neuron[j];
    n->tau_low = (double)tau[j] / (1 + (double)tau[j]), n->tau_high = (double)tau[j];
    n->state_low = n->state_high = 0;
    widen(n, (double)A[j]);
  }
  free(tau);
  free(A);
  return status;
}

/* Cells whose new state is a mean of hyperbolic tangents and the old one, or an LSTM's output. */
static void bound_by_one(EbbLayerReport *layer) {
  for (int64_t j = 0; j < layer->n; j++) layer->neuron[j].state_low = -1, layer->neuron[j].state_high = 1;
}

static bool is(const EbbCell *cell, const char *name) { return strcmp(cell->name, name) == 0; }

EbbStatus report_bounds(const EbbCell *cell, const EbbConfig *config, const EbbParams *params,
                        const char *scope, EbbLayerReport *layer) {
  const bool sigmoid = ebb_config_choice(config, "model.layer.act") == 0,
             default_cfc = ebb_config_choice(config, "model.layer.cfc_mode") == 0;
  if (is(cell, "ltc") || is(cell, "ltc_aaai")) return bound_conductance(cell, params, scope, layer);
  if (is(cell, "ltc_vector")) return sigmoid ? bound_vector(cell, params, scope, layer) : EBB_OK;
  if (is(cell, "lstm") || is(cell, "gru_ode") || is(cell, "esn") ||
      (default_cfc && (is(cell, "cfc") || is(cell, "wired_cfc"))))
    bound_by_one(layer);
  return EBB_OK;
}
