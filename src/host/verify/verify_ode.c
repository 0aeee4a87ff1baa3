/* Cases of kind "table" for layer "odesolver": dx/dt = tanh([x, t] W1 + b1) W2 + b2 from x0 (B, D) over t0 ..
   t1, solved by every method that the file has a result of. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/ode.h"
#include "host/verify/verify_internal.h"

typedef struct Network {
  int64_t B, D, hidden;
  double *W1, *b1, *W2, *b2; /* (D + 1, hidden), (hidden), (hidden, D), (D) */
  double *x0, *x;            /* (B, D) */
  double t0, t1, dt;
} Network;

static void row_slope(const Network *net, double t, const double *x, double *dxdt) {
  memcpy(dxdt, net->b2, sizeof *dxdt * (size_t)net->D);
  for (int64_t j = 0; j < net->hidden; j++) {
    double sum = net->b1[j] + t * net->W1[net->D * net->hidden + j];
    for (int64_t i = 0; i < net->D; i++) sum += x[i] * net->W1[i * net->hidden + j];
    const double unit = tanh(sum);
    for (int64_t i = 0; i < net->D; i++) dxdt[i] += unit * net->W2[j * net->D + i];
  }
}

static EbbStatus slope(void *context, int64_t first, int64_t rows, double t, const double *x, double *dxdt) {
  const Network *net = context;
  (void)first;
  for (int64_t r = 0; r < rows; r++) row_slope(net, t, x + r * net->D, dxdt + r * net->D);
  return EBB_OK;
}

static EbbStatus doubles(const Case *c, const char *name, EbbShape shape, double **out) {
  const EbbStoredTensor *tensor;
  EBB_TRY(case_require(c, name, &tensor));
  EBB_TRY(case_require_shape(c, tensor, shape));
  const int64_t size = ebb_shape_size(&shape);
  *out = malloc(sizeof **out * (size_t)size);
  return *out ? ebb_stored_doubles(tensor, *out, size)
              : ebb_fail(EBB_MEMORY, "no memory for tensor '%s'", name);
}

static EbbStatus number(const Case *c, const char *key, double *out) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, key);
  if (!cJSON_IsNumber(item)) return ebb_fail(EBB_FORMAT, "%s: its config has no number '%s'", c->path, key);
  *out = item->valuedouble;
  return EBB_OK;
}

static EbbStatus load(const Case *c, Network *net) {
  const EbbStoredTensor *x0, *b1;
  EBB_TRY(case_require(c, "x0", &x0));
  EBB_TRY(case_require_rank(c, x0, 2));
  EBB_TRY(case_require(c, "b1", &b1));
  EBB_TRY(case_require_rank(c, b1, 1));
  net->B = x0->shape.dim[0], net->D = x0->shape.dim[1], net->hidden = b1->shape.dim[0];
  EBB_TRY(doubles(c, "x0", ebb_shape(net->B, net->D), &net->x0));
  EBB_TRY(doubles(c, "W1", ebb_shape(net->D + 1, net->hidden), &net->W1));
  EBB_TRY(doubles(c, "b1", ebb_shape(net->hidden), &net->b1));
  EBB_TRY(doubles(c, "W2", ebb_shape(net->hidden, net->D), &net->W2));
  EBB_TRY(doubles(c, "b2", ebb_shape(net->D), &net->b2));
  net->x = malloc(sizeof *net->x * (size_t)(net->B * net->D) + 1);
  if (!net->x) return ebb_fail(EBB_MEMORY, "no memory for %s", c->path);
  EBB_TRY(number(c, "t0", &net->t0));
  EBB_TRY(number(c, "t1", &net->t1));
  return number(c, "dt", &net->dt);
}

static EbbStatus compare_doubles(Case *c, const char *name, const double *values, int64_t size) {
  float *floats = calloc((size_t)size + 1, sizeof *floats);
  if (!floats) return ebb_fail(EBB_MEMORY, "no memory to compare '%s'", name);
  for (int64_t i = 0; i < size; i++) floats[i] = (float)values[i];
  EbbStatus status = case_compare(c, name, "output", floats, size);
  free(floats);
  return status;
}

static EbbStatus solve(Case *c, Network *net, const EbbOdeConfig *config, const char *name,
                       EbbOdeTape *tape) {
  const EbbOdeRhs rhs = {.context = net, .f = slope};
  const int64_t size = net->B * net->D;
  if (!case_tensor(c, "%s", name)) return EBB_OK;
  memcpy(net->x, net->x0, sizeof *net->x * (size_t)size);
  EBB_TRY(ebb_ode_solve(config, &rhs, net->B, net->D, net->t0, net->t1, net->x, tape));
  return compare_doubles(c, name, net->x, size);
}

/* (t, dt, error) of every trial step. */
static EbbStatus compare_log(Case *c, const EbbOdeTape *tape) {
  int64_t count;
  const EbbOdeTrial *trial = ebb_ode_tape_trials(tape, &count);
  if (!count || !case_tensor(c, "dopri5_log")) return EBB_OK;
  double *log = calloc(3 * (size_t)count, sizeof *log);
  if (!log) return ebb_fail(EBB_MEMORY, "no memory for %s", c->path);
  for (int64_t i = 0; i < count; i++)
    log[3 * i] = trial[i].t, log[3 * i + 1] = trial[i].dt, log[3 * i + 2] = trial[i].error;
  EbbStatus status = compare_doubles(c, "dopri5_log", log, 3 * count);
  free(log);
  return status;
}

static EbbStatus compare_all(Case *c, Network *net, EbbOdeTape *tape) {
  EbbOdeConfig fixed = ebb_ode_fixed(), adaptive = ebb_ode_adaptive(), tight = ebb_ode_adaptive();
  EBB_TRY(load(c, net));
  fixed.dt = net->dt;
  for (int i = 0; i < ebb_tableau_count(); i++) {
    fixed.tableau = ebb_tableau_at(i);
    EBB_TRY(solve(c, net, &fixed, fixed.tableau->name, NULL));
  }
  EBB_TRY(solve(c, net, &adaptive, "dopri5_default", tape));
  EBB_TRY(compare_log(c, tape));
  tight.atol = 1e-12, tight.rtol = 1e-10, tight.max_steps = 100000;
  EBB_TRY(solve(c, net, &tight, "dopri5_tight", NULL));
  return solve(c, net, &tight, "reference", NULL);
}

EbbStatus verify_odesolver(Case *c) {
  Network net = {0};
  EbbOdeTape *tape = NULL;
  EBB_TRY(ebb_ode_tape_create(&tape));
  EbbStatus status = compare_all(c, &net, tape);
  ebb_ode_tape_destroy(tape);
  double *owned[] = {net.W1, net.b1, net.W2, net.b2, net.x0, net.x};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
  return status;
}
