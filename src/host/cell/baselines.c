/* The recurrent networks that liquid cells are compared with. */
#include <stdlib.h>

#include "host/cell/write.h"

/* W [x, h] + b with one matrix (inputs, outputs): what comes of x, and the part for h. */
typedef struct Joint {
  EbbCellRef input;
  EbbCellMatrix recurrent;
} Joint;

static Joint write_joint(EbbCell *cell, const char *w, const char *b, int64_t H, int64_t outputs) {
  const int64_t I = cell->inputs;
  const double range = glorot(I + H, outputs);
  const EbbCellRef weight = ebb_write_param(cell, w, I + H, outputs, -range, range),
                   bias = ebb_write_param(cell, b, outputs, 0, 0, 0);
  Joint joint = {.recurrent = ebb_cell_matrix(cell, weight, outputs, I + H, true, I, H)};
  joint.input = ebb_cell_linear(cell, ebb_cell_matrix(cell, weight, outputs, I + H, true, 0, I),
                                ebb_cell_x(cell), bias);
  return joint;
}

static EbbCellRef apply_joint(EbbCell *cell, const Joint *joint, EbbCellRef h) {
  return ebb_cell_linear(cell, joint->recurrent, h, joint->input);
}

static EbbStatus check_step(const char *name, double step) {
  if (step > 0 && step <= 1000) return EBB_OK;
  return ebb_fail(EBB_INVALID, "cell '%s': sub-steps of %g; a positive time is needed", name, step);
}

/* ---- CT-RNN ---- */

EbbCtrnn ebb_ctrnn_defaults(int64_t I, int64_t H) {
  return (EbbCtrnn){.I = I, .H = H, .unfolds = 6, .step = 0.1, .tau = 1, .feedback = true};
}

/* tanh of the input alone, before the recurrence. */
static EbbCellRef without_feedback(EbbCell *cell, int64_t I, int64_t H) {
  const double range = glorot(I, H);
  const EbbCellRef weight = ebb_write_param(cell, "W", I, H, -range, range),
                   bias = ebb_write_param(cell, "b", H, 0, 0, 0);
  return ebb_write1(
      cell, EBB_CELL_TANH,
      ebb_cell_linear(cell, ebb_cell_matrix(cell, weight, H, I, true, 0, I), ebb_cell_x(cell), bias));
}

static void write_ctrnn(EbbCell *cell, const EbbCtrnn *c, EbbCellRef h) {
  Joint joint = {0};
  EbbCellRef f = ebb_cell_absent();
  if (c->feedback)
    joint = write_joint(cell, "W", "b", c->H, c->H);
  else
    f = without_feedback(cell, c->I, c->H);
  ebb_cell_begin(cell, EBB_CELL_BODY, c->unfolds);
  if (c->feedback) f = ebb_write1(cell, EBB_CELL_TANH, apply_joint(cell, &joint, h));
  const EbbCellRef slope = ebb_write_step(cell, f, ebb_cell_constant(1), -1 / c->tau, h);
  ebb_cell_move(cell, h, ebb_write_step(cell, h, ebb_cell_elapsed(cell), c->step, slope));
}

EbbStatus ebb_cell_ctrnn(const EbbCtrnn *ctrnn, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("ctrnn", ctrnn->H, ctrnn->unfolds));
  EBB_TRY(check_step("ctrnn", ctrnn->step));
  if (!(ctrnn->tau > 0))
    return ebb_fail(EBB_INVALID, "cell 'ctrnn': time constant %g; a positive one is needed", ctrnn->tau);
  EBB_TRY(ebb_cell_create("ctrnn", ctrnn->I, &cell));
  const EbbCellRef h = ebb_cell_state(cell, ctrnn->H);
  write_ctrnn(cell, ctrnn, h);
  return ebb_write_end(cell, h, out);
}

/* ---- neural ODE ---- */

EbbNeuralOde ebb_neural_ode_defaults(int64_t I, int64_t H) {
  return (EbbNeuralOde){.I = I, .H = H, .unfolds = 6, .step = 0.1, .solver = "rk4"};
}

static EbbCellRef ode_slope(EbbCell *cell, const void *context, EbbCellRef h) {
  return ebb_write1(cell, EBB_CELL_TANH, apply_joint(cell, context, h));
}

static void write_ode(EbbCell *cell, const EbbNeuralOde *ode, const EbbTableau *tableau, EbbCellRef h) {
  const Joint joint = write_joint(cell, "W", "b", ode->H, ode->H);
  ebb_cell_begin(cell, EBB_CELL_BODY, ode->unfolds);
  EbbCellRef next =
      ebb_write_runge_kutta(cell, tableau, h, ebb_cell_elapsed(cell), ode->step, ode_slope, &joint);
  if (ode->clip > 0)
    next =
        ebb_write3(cell, EBB_CELL_CLAMP, next, ebb_cell_constant(-ode->clip), ebb_cell_constant(ode->clip));
  ebb_cell_move(cell, h, next);
}

EbbStatus ebb_cell_neural_ode(const EbbNeuralOde *ode, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("neural_ode", ode->H, ode->unfolds));
  EBB_TRY(check_step("neural_ode", ode->step));
  const EbbTableau *tableau = ebb_tableau_find(ode->solver);
  if (!tableau) return ebb_fail(EBB_INVALID, "cell 'neural_ode': there is no solver '%s'", ode->solver);
  EBB_TRY(ebb_cell_create("neural_ode", ode->I, &cell));
  const EbbCellRef h = ebb_cell_state(cell, ode->H);
  write_ode(cell, ode, tableau, h);
  return ebb_write_end(cell, h, out);
}

/* ---- CT-GRU ---- */

typedef struct Traces {
  EbbCellRef log_tau, rate; /* (H M) constants */
} Traces;

static Traces write_traces(EbbCell *cell, const EbbCtGru *gru) {
  const float at_once = -1e30f;
  const double spacing = 0.5 * log(10);
  const int64_t size = gru->H * gru->M;
  Traces traces = {0};
  float *values = malloc(2 * (size_t)size * sizeof *values);
  if (!values) {
    cell->status = ebb_fail(EBB_MEMORY, "no memory for the traces of cell 'ct_gru'");
    return traces;
  }
  for (int64_t i = 0; i < size; i++) {
    const double log_tau = (double)(i % gru->M) * spacing;
    values[i] = (float)log_tau;
    values[size + i] = !gru->published_decay ? (float)-exp(-log_tau)
                       : log_tau > 0         ? (float)(-1 / log_tau)
                                             : at_once;
  }
  traces.log_tau = ebb_cell_constants(cell, values, size);
  traces.rate = ebb_cell_constants(cell, values + size, size);
  free(values);
  return traces;
}

/* Softmax over a unit's traces of the closeness of what is asked for to their time constants. */
static EbbCellRef shares(EbbCell *cell, const EbbCtGru *gru, const Traces *traces, EbbCellRef asked) {
  return ebb_cell_grouped(cell, EBB_CELL_GROUP_SOFTMAX, gru->M,
                          ebb_write2(cell, EBB_CELL_NEGATIVE_SQUARE, asked, traces->log_tau));
}

static EbbCellRef write_ct_gru(EbbCell *cell, const EbbCtGru *gru) {
  const int64_t H = gru->H, M = gru->M;
  const EbbCellRef traces_of_h = ebb_cell_state(cell, H * M);
  const Traces traces = write_traces(cell, gru);
  const Joint retrieve = write_joint(cell, "Wr", "br", H, H * M),
              store = write_joint(cell, "Ws", "bs", H, H * M), event = write_joint(cell, "W", "b", H, H);
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef h = ebb_cell_grouped(cell, EBB_CELL_GROUP_SUM, M, traces_of_h);
  const EbbCellRef r = shares(cell, gru, &traces, apply_joint(cell, &retrieve, h));
  const EbbCellRef s = shares(cell, gru, &traces, apply_joint(cell, &store, h));
  const EbbCellRef q =
      ebb_cell_grouped(cell, EBB_CELL_GROUP_SUM, M, ebb_write2(cell, EBB_CELL_MULTIPLY, r, traces_of_h));
  const EbbCellRef d = ebb_write1(cell, EBB_CELL_TANH, apply_joint(cell, &event, q));
  const EbbCellRef from[] = {s, traces_of_h, ebb_cell_grouped(cell, EBB_CELL_REPEAT, M, d), traces.rate,
                             ebb_cell_elapsed(cell)};
  const EbbCellRef next = ebb_cell_apply(cell, EBB_CELL_TRACE, H * M, 5, from);
  ebb_cell_move(cell, traces_of_h, next);
  return ebb_cell_grouped(cell, EBB_CELL_GROUP_SUM, M, next);
}

EbbStatus ebb_cell_ct_gru(const EbbCtGru *gru, EbbCell **out) {
  enum { MOST_TRACES = 64 };
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("ct_gru", gru->H, 1));
  if (gru->M < 1 || gru->M > MOST_TRACES)
    return ebb_fail(EBB_INVALID, "cell 'ct_gru': %lld traces a unit; from 1 to %d are possible",
                    (long long)gru->M, MOST_TRACES);
  EBB_TRY(ebb_cell_create("ct_gru", gru->I, &cell));
  return ebb_write_end(cell, write_ct_gru(cell, gru), out);
}

/* ---- GRU-ODE ---- */

/* One gate: x W + b before the recurrence, h U in it. */
typedef struct Gate {
  EbbCellRef input;
  EbbCellMatrix recurrent;
} Gate;

static Gate write_gate(EbbCell *cell, const char *w, const char *u, const char *b, int64_t H) {
  const int64_t I = cell->inputs;
  const EbbCellRef W = ebb_write_param(cell, w, I, H, -glorot(I, H), glorot(I, H)),
                   U = ebb_write_param(cell, u, H, H, -glorot(H, H), glorot(H, H)),
                   bias = ebb_write_param(cell, b, H, 0, 0, 0);
  Gate gate = {.recurrent = ebb_cell_matrix(cell, U, H, H, true, 0, H)};
  gate.input = ebb_cell_linear(cell, ebb_cell_matrix(cell, W, H, I, true, 0, I), ebb_cell_x(cell), bias);
  return gate;
}

static EbbCellRef open_gate(EbbCell *cell, const Gate *gate, EbbCellCode act, EbbCellRef h) {
  return ebb_write1(cell, act, ebb_cell_linear(cell, gate->recurrent, h, gate->input));
}

EbbStatus ebb_cell_gru_ode(int64_t I, int64_t H, int64_t unfolds, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("gru_ode", H, unfolds));
  EBB_TRY(ebb_cell_create("gru_ode", I, &cell));
  const EbbCellRef h = ebb_cell_state(cell, H);
  const Gate reset = write_gate(cell, "Wr", "Ur", "br", H), update = write_gate(cell, "Wz", "Uz", "bz", H),
             candidate = write_gate(cell, "Wg", "Ug", "bg", H);
  ebb_cell_begin(cell, EBB_CELL_BODY, unfolds);
  const EbbCellRef r = open_gate(cell, &reset, EBB_CELL_SIGMOID, h),
                   z = open_gate(cell, &update, EBB_CELL_SIGMOID, h);
  const EbbCellRef g = open_gate(cell, &candidate, EBB_CELL_TANH, ebb_write2(cell, EBB_CELL_MULTIPLY, r, h));
  const EbbCellRef slope = ebb_write3(cell, EBB_CELL_GRU_SLOPE, z, g, h);
  ebb_cell_move(cell, h, ebb_write_step(cell, h, ebb_cell_elapsed(cell), 1 / (double)unfolds, slope));
  return ebb_write_end(cell, h, out);
}
