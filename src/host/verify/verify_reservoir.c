/* Cases of kind "table" for layer "reservoir": states of given weights, and a ridge readout's prediction. */
#include <stdlib.h>
#include <string.h>

#include "ebb/reservoir.h"
#include "ebb/ridge.h"
#include "host/verify/verify_internal.h"

/* Everything of a case in memory; NULL where the case has no such tensor. */
typedef struct Table {
  int64_t units, inputs, steps, outputs;
  double *W, *W_in, *u, *target, *states;
} Table;

static EbbStatus read(const Case *c, const char *name, double **out, int64_t *rows, int64_t *columns) {
  const EbbStoredTensor *tensor;
  EBB_TRY(case_require(c, name, &tensor));
  EBB_TRY(case_require_rank(c, tensor, 2));
  const int64_t size = ebb_shape_size(&tensor->shape);
  *rows = tensor->shape.dim[0], *columns = tensor->shape.dim[1];
  if (*rows < 1 || *columns < 1 || *rows > INT32_MAX || *columns > INT32_MAX)
    return ebb_fail(EBB_FORMAT, "%s: tensor '%s' has no sizes of a reservoir", c->path, name);
  double *values = malloc((size_t)size * sizeof *values);
  *out = values;
  EbbStatus status = values ? ebb_stored_doubles(tensor, values, size)
                            : ebb_fail(EBB_MEMORY, "no memory for tensor '%s'", name);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "%s", c->path);
}

static EbbStatus load(const Case *c, const char *inputs, Table *t) {
  int64_t rows = 0, columns = 0, features = 0;
  EBB_TRY(read(c, "W", &t->W, &t->units, &columns));
  EBB_TRY(read(c, "W_in", &t->W_in, &rows, &t->inputs));
  EBB_TRY(read(c, inputs, &t->u, &t->steps, &features));
  if (columns != t->units || rows != t->units || features != t->inputs) {
    (void)ebb_fail(EBB_FORMAT,
                   "%s: W (%lld, %lld), W_in (%lld, %lld) and '%s' (%lld, %lld) do not fit together", c->path,
                   (long long)t->units, (long long)columns, (long long)rows, (long long)t->inputs, inputs,
                   (long long)t->steps, (long long)features);
    return EBB_FORMAT;
  }
  t->states = calloc((size_t)(t->steps * t->units), sizeof *t->states);
  if (t->states) return EBB_OK;
  (void)ebb_fail(EBB_MEMORY, "no memory for %lld steps", (long long)t->steps);
  return EBB_MEMORY;
}

static void free_table(Table *t) {
  free(t->W);
  free(t->W_in);
  free(t->u);
  free(t->target);
  free(t->states);
}

static EbbStatus number(const Case *c, const char *key, double *out) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, key);
  if (!cJSON_IsNumber(item)) return ebb_fail(EBB_FORMAT, "%s: config has no number '%s'", c->path, key);
  *out = item->valuedouble;
  return EBB_OK;
}

static EbbStatus compare(Case *c, const char *name, const double *values, int64_t size) {
  const EbbStoredTensor *tensor;
  EBB_TRY(case_require(c, name, &tensor));
  if (ebb_shape_size(&tensor->shape) != size)
    return ebb_fail(EBB_FORMAT, "%s: tensor '%s' has %lld elements, where %lld are made", c->path, name,
                    (long long)ebb_shape_size(&tensor->shape), (long long)size);
  float *narrow = malloc((size_t)size * sizeof *narrow);
  if (!narrow) return ebb_fail(EBB_MEMORY, "no memory to compare '%s'", name);
  for (int64_t i = 0; i < size; i++) narrow[i] = (float)values[i];
  EbbStatus status = case_compare(c, name, "output", narrow, size);
  free(narrow);
  return status;
}

/* Runs the reservoir and keeps, step by step, the fields that the case has. */
static EbbStatus compare_fields(Case *c, const Table *t, const EbbReservoir *reservoir,
                                EbbReservoirState *state, const char *field, const char *tensor) {
  ebb_reservoir_state_reset(state);
  const double *now = ebb_reservoir_field(state, field);
  for (int64_t step = 0; step < t->steps; step++) {
    EBB_TRY(ebb_reservoir_step(reservoir, state, t->u + step * t->inputs, NULL));
    memcpy(t->states + step * t->units, now, (size_t)t->units * sizeof *now);
  }
  return compare(c, tensor, t->states, t->steps * t->units);
}

static EbbStatus compare_spiking(Case *c, const Table *t, const EbbReservoir *reservoir) {
  static const char *const fields[][2] = {{"spike", "spikes"}, {"trace", "trace"}, {"v", "v"}};
  EbbReservoirState *state = NULL;
  EBB_TRY(ebb_reservoir_state_create(reservoir, 1, &state));
  EbbStatus status = EBB_OK;
  for (int i = 0; status == EBB_OK && i < 3; i++)
    if (case_tensor(c, "%s", fields[i][1]))
      status = compare_fields(c, t, reservoir, state, fields[i][0], fields[i][1]);
  ebb_reservoir_state_destroy(state);
  return status;
}

static EbbStatus verify_spiking(Case *c, Table *t) {
  EbbSpiking s = {0};
  double refractory = 0;
  EBB_TRY(load(c, "spikes_in", t));
  EBB_TRY(number(c, "dt", &s.dt));
  EBB_TRY(number(c, "tau_m", &s.tau_m));
  EBB_TRY(number(c, "tau_syn", &s.tau_syn));
  EBB_TRY(number(c, "v_th", &s.v_th));
  EBB_TRY(number(c, "v_reset", &s.v_reset));
  EBB_TRY(number(c, "gain_in", &s.gain_in));
  EBB_TRY(number(c, "gain_syn", &s.gain_syn));
  EBB_TRY(number(c, "refractory_steps", &refractory));
  s.refractory_steps = (int)refractory;
  const EbbReservoirWeights weights = {.W_in = t->W_in, .W = t->W};
  EbbReservoir *reservoir = NULL;
  EBB_TRY(ebb_reservoir_spiking(&s, (int)t->inputs, (int)t->units, &weights, &reservoir));
  EbbStatus status = compare_spiking(c, t, reservoir);
  ebb_reservoir_destroy(reservoir);
  return status;
}

static EbbStatus solve(Case *c, const Table *t, EbbRidge *ridge, double lambda, double *W_out,
                       double *prediction) {
  EBB_TRY(ebb_ridge_add(ridge, t->steps, t->states, t->target));
  EBB_TRY(ebb_ridge_solve(ridge, lambda, W_out));
  EBB_TRY(compare(c, "W_out", W_out, t->units * t->outputs));
  ebb_ridge_apply(ridge, W_out, t->steps, t->states, prediction);
  return compare(c, "pred", prediction, t->steps * t->outputs);
}

static EbbStatus compare_readout(Case *c, Table *t) {
  int64_t rows = 0;
  double lambda = 0;
  if (!case_tensor(c, "W_out")) return EBB_OK;
  EBB_TRY(number(c, "ridge", &lambda));
  EBB_TRY(read(c, "target", &t->target, &rows, &t->outputs));
  if (rows != t->steps)
    return ebb_fail(EBB_FORMAT, "%s: tensor 'target' has %lld rows, 'u' has %lld", c->path, (long long)rows,
                    (long long)t->steps);
  EbbRidge *ridge = NULL;
  EBB_TRY(ebb_ridge_create((int)t->units, (int)t->outputs, false, &ridge));
  double *W_out = malloc((size_t)((t->units + t->steps) * t->outputs) * sizeof *W_out);
  EbbStatus status = W_out ? solve(c, t, ridge, lambda, W_out, W_out + t->units * t->outputs)
                           : ebb_fail(EBB_MEMORY, "no memory for a readout");
  free(W_out);
  ebb_ridge_destroy(ridge);
  return status;
}

static EbbStatus run_echo(Case *c, const Table *t, const EbbReservoir *reservoir) {
  EbbReservoirState *state = NULL;
  EBB_TRY(ebb_reservoir_state_create(reservoir, 1, &state));
  EbbStatus status = ebb_reservoir_run(reservoir, state, t->steps, t->u, t->states);
  ebb_reservoir_state_destroy(state);
  return status == EBB_OK ? compare(c, "states", t->states, t->steps * t->units) : status;
}

static EbbStatus verify_echo(Case *c, Table *t) {
  EbbEcho echo = {0};
  EBB_TRY(load(c, "u", t));
  EBB_TRY(number(c, "leak", &echo.leak));
  const EbbReservoirWeights weights = {.W_in = t->W_in, .W = t->W};
  EbbReservoir *reservoir = NULL;
  EBB_TRY(ebb_reservoir_echo(&echo, (int)t->inputs, (int)t->units, &weights, &reservoir));
  EbbStatus status = run_echo(c, t, reservoir);
  ebb_reservoir_destroy(reservoir);
  return status == EBB_OK ? compare_readout(c, t) : status;
}

EbbStatus verify_reservoir(Case *c) {
  Table t = {0};
  EbbStatus status = case_tensor(c, "spikes_in") ? verify_spiking(c, &t) : verify_echo(c, &t);
  free_table(&t);
  return status;
}
