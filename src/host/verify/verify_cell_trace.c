/* Cases of every sub-step of the fused solver: the same trajectory comes out of single sub-steps with a share
   of the elapsed time each. */
#include <stdlib.h>
#include <string.h>

#include "ebb/ops/cell.h"
#include "host/verify/case_cell.h"

typedef struct Trace {
  EbbCell *cell;
  EbbGraph *graph;
  EbbValue x, state, elapsed, states;
  const EbbStoredTensor *in_x, *in_h0, *in_ts, *v;
  int64_t B, T, U, I, H;
} Trace;

static EbbStatus look(Case *c, Trace *t) {
  EBB_TRY(case_require(c, "input.x", &t->in_x));
  EBB_TRY(case_require_rank(c, t->in_x, 3));
  EBB_TRY(case_require(c, "expect.v", &t->v));
  EBB_TRY(case_require_rank(c, t->v, 4));
  t->B = t->in_x->shape.dim[0], t->T = t->in_x->shape.dim[1], t->I = t->in_x->shape.dim[2];
  t->U = t->v->shape.dim[1], t->H = t->v->shape.dim[3];
  EBB_TRY(case_require_shape(c, t->v, ebb_shape(t->T, t->U, t->B, t->H)));
  EBB_TRY(case_require(c, "input.h0", &t->in_h0));
  EBB_TRY(case_require_shape(c, t->in_h0, ebb_shape(t->B, t->H)));
  EBB_TRY(case_require(c, "input.ts", &t->in_ts));
  return case_require_shape(c, t->in_ts, ebb_shape(t->B, t->T));
}

static EbbStatus record(Case *c, Trace *t) {
  const int64_t steps = t->T * t->U;
  /* One sub-step at a time; a trace's parameters are those that the solver reads, after any softplus. */
  cJSON_DeleteItemFromObjectCaseSensitive(c->config, "ode_unfolds");
  cJSON_AddNumberToObject(c->config, "ode_unfolds", 1);
  cJSON_DeleteItemFromObjectCaseSensitive(c->config, "implicit_param_constraints");
  cJSON_AddBoolToObject(c->config, "implicit_param_constraints", false);
  EBB_TRY(case_cell(c, "ltc", t->I, t->H, &t->cell));
  const EbbCellConfig config = {.cell = t->cell, .has_state = true, .has_elapsed = true};
  EBB_TRY(ebb_graph_create(c->params, NULL, false, &t->graph));
  EBB_TRY(ebb_graph_input(t->graph, "x", EBB_F32, ebb_shape(t->B, steps, t->I), false, &t->x));
  EBB_TRY(ebb_graph_input(t->graph, "state", EBB_F32, ebb_shape(t->B, t->H), false, &t->state));
  EBB_TRY(ebb_graph_input(t->graph, "elapsed", EBB_F32, ebb_shape(t->B, steps), false, &t->elapsed));
  const EbbValue inputs[] = {t->x, t->state, t->elapsed};
  EbbValue y[2];
  EBB_TRY(ebb_graph_apply(t->graph, &ebb_cell_op, "", &config, sizeof config, inputs, 3, y, 2));
  t->states = y[1];
  EBB_TRY(ebb_graph_output(t->graph, t->states));
  return ebb_params_place(c->params, 0);
}

/* The parameters of the cell; the case keeps its masks beside them. */
static EbbStatus load(Case *c) {
  for (int i = 0; i < ebb_params_count(c->params); i++) {
    const EbbParam *param = ebb_params_at(c->params, i);
    const EbbStoredTensor *tensor = case_tensor(c, "param.%s", param->name);
    if (!tensor) return ebb_fail(EBB_FORMAT, "%s: tensor 'param.%s' is missing", c->path, param->name);
    EBB_TRY(case_require_shape(c, tensor, param->spec.shape));
    float *values = malloc((size_t)param->size * sizeof *values);
    if (!values) return ebb_fail(EBB_MEMORY, "no memory for '%s'", param->name);
    EbbStatus status = ebb_stored_floats(tensor, values, param->size);
    if (status == EBB_OK) status = ebb_params_write(c->params, param->name, values, param->size);
    free(values);
    EBB_TRY(status);
  }
  return EBB_OK;
}

/* Rows (b, t) of `width` floats, each repeated U times and multiplied by `factor`. */
static EbbStatus feed_repeated(Case *c, const Trace *t, EbbValue value, const EbbStoredTensor *tensor,
                               int64_t width, float factor) {
  (void)c;
  const int64_t rows = t->B * t->T;
  float *from = malloc((size_t)(rows * width * (1 + t->U)) * sizeof *from);
  if (!from) return ebb_fail(EBB_MEMORY, "no memory for '%s'", tensor->name);
  float *to = from + rows * width;
  EbbStatus status = ebb_stored_floats(tensor, from, rows * width);
  for (int64_t r = 0; r < rows * t->U && status == EBB_OK; r++)
    for (int64_t i = 0; i < width; i++) to[r * width + i] = factor * from[r / t->U * width + i];
  if (status == EBB_OK) status = ebb_graph_write(t->graph, value, to);
  free(from);
  return status;
}

/* states (B, T U, H) against v (T, U, B, H). */
static EbbStatus compare(Case *c, const Trace *t) {
  const int64_t steps = t->T * t->U, size = t->B * steps * t->H;
  float *states = malloc(2 * (size_t)size * sizeof *states), *v = states + size;
  if (!states) return ebb_fail(EBB_MEMORY, "no memory for the states");
  EbbStatus status = ebb_graph_read(t->graph, t->states, states);
  for (int64_t b = 0; b < t->B; b++)
    for (int64_t s = 0; s < steps; s++)
      memcpy(v + (s * t->B + b) * t->H, states + (b * steps + s) * t->H, (size_t)t->H * sizeof *v);
  if (status == EBB_OK) status = case_compare(c, "expect.v", "output", v, size);
  free(states);
  return status;
}

static EbbStatus run(Case *c, Trace *t) {
  const EbbRun at = {.device = c->device};
  EBB_TRY(look(c, t));
  EBB_TRY(record(c, t));
  EBB_TRY(load(c));
  EBB_TRY(ebb_graph_layout(t->graph));
  EBB_TRY(feed_repeated(c, t, t->x, t->in_x, t->I, 1));
  EBB_TRY(feed_repeated(c, t, t->elapsed, t->in_ts, 1, 1 / (float)t->U));
  EBB_TRY(case_feed_floats(c, t->graph, t->state, t->in_h0, 0));
  EBB_TRY(ebb_graph_forward(t->graph, &at));
  case_remark(c,
              "v after every sub-step is compared; numerator and denominator are what it is the quotient of");
  return compare(c, t);
}

EbbStatus verify_cell_trace(Case *c) {
  Trace t = {0};
  EbbStatus status = run(c, &t);
  ebb_graph_destroy(t.graph);
  ebb_cell_destroy(t.cell);
  return status;
}
