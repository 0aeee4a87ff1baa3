#include "host/cell/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/scalar.h"

/* ---- the formulas in float64 ---- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }
static double gelu(double x) { return 0.5 * x * (1 + erf(x * 0.70710678118654752440)); }
static double gelu_slope(double x) {
  return 0.5 * (1 + erf(x * 0.70710678118654752440)) + x * 0.39894228040143267794 * exp(-0.5 * x * x);
}

#define EBB_REAL              double
#define EBB_FORMULA(name)     reference_##name
#define EBB_REAL_EXP(x)       exp(x)
#define EBB_REAL_TANH(x)      tanh(x)
#define EBB_REAL_SIGMOID(x)   sigmoid(x)
#define EBB_REAL_SOFTPLUS(x)  softplus(x)
#define EBB_REAL_GELU(x)      gelu(x)
#define EBB_REAL_GELU_GRAD(x) gelu_slope(x)
#define EBB_REAL_ABS(x)       fabs(x)
#define EBB_REAL_SIGN(x)      ((x) > 0 ? 1.0 : (x) < 0 ? -1.0 : 0.0)
#define EBB_REAL_LECUN_SCALE  1.7159
#define EBB_REAL_LECUN_RATE   0.666
#include "ebb/cell_formulas.def"
#include "ebb/cell_reals.def"

typedef double (*Formula)(const double *in);
typedef void (*FormulaGrad)(const double *in, double out, double g, double *d);
static const struct {
  Formula value;
  FormulaGrad grad;
} formulas[EBB_CELL_CODES] = {
#define EBB_CELL_FORMULA(CODE, name, operands)                                                               \
  [EBB_CELL_##CODE] = {reference_##name, reference_##name##_grad},
#define EBB_CELL_MOTION(CODE, name) [EBB_CELL_##CODE] = {NULL, NULL},
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
};

/* ---- memory of one time step, with a gradient beside every number ---- */

typedef struct Numbers {
  double *value, *grad;
} Numbers;

typedef struct Machine {
  const EbbCell *cell;
  const EbbCellReference *run;
  Numbers x, state, seq, temp, arena;
  double elapsed, delapsed;
  double *before; /* (1 + repeat + 1, S) states before STEP, each repetition and TAIL */
  double *memory;
} Machine;

static Numbers take(double **memory, int64_t size) {
  const Numbers numbers = {*memory, *memory + size};
  *memory += 2 * size;
  return numbers;
}

static EbbStatus start(Machine *m, const EbbCell *cell, const EbbCellReference *run) {
  const int64_t sizes = 2 * ((int64_t)cell->inputs + cell->states + cell->seqs + cell->temps + cell->arena) +
                        (2 + (int64_t)cell->repeat) * cell->states;
  *m = (Machine){.cell = cell, .run = run};
  double *memory = m->memory = calloc((size_t)sizes + 1, sizeof *memory);
  if (!memory) {
    (void)ebb_fail(EBB_MEMORY, "no memory for a float64 run of cell '%s'", cell->name);
    return EBB_MEMORY;
  }
  m->x = take(&memory, cell->inputs), m->state = take(&memory, cell->states);
  m->seq = take(&memory, cell->seqs), m->temp = take(&memory, cell->temps);
  m->arena = take(&memory, cell->arena), m->before = memory;
  return EBB_OK;
}

static void load_params(Machine *m) {
  for (int p = 0; p < m->cell->n_params; p++) {
    const EbbCellParam *param = &m->cell->param[p];
    for (int64_t i = 0; i < param->size; i++) {
      const double raw = param->constant ? (double)param->values[i] : m->run->value[p][i];
      const double mapped = param->map == EBB_CELL_SOFTPLUS_OF ? softplus(raw) : raw;
      m->arena.value[param->at + i] = param->mask ? mapped * (double)param->mask[i] : mapped;
    }
  }
}

static void store_grads(const Machine *m) {
  for (int p = 0; p < m->cell->n_params; p++) {
    const EbbCellParam *param = &m->cell->param[p];
    for (int64_t i = 0; i < param->size && m->run->grad[p]; i++) {
      const double slope = param->map == EBB_CELL_SOFTPLUS_OF ? sigmoid(m->run->value[p][i]) : 1;
      m->run->grad[p][i] += m->arena.grad[param->at + i] * slope * (param->mask ? (double)param->mask[i] : 1);
    }
  }
}

/* Where element i of an operand lies; constants and absent operands have a place that nobody reads. */
typedef struct Place {
  double value, *grad;
} Place;

static Place place_of(Machine *m, const EbbCellRef *ref, int64_t i, double *nowhere) {
  const Numbers *spaces[] = {[EBB_CELL_X] = &m->x,
                             [EBB_CELL_STATE] = &m->state,
                             [EBB_CELL_SEQ] = &m->seq,
                             [EBB_CELL_TEMP] = &m->temp,
                             [EBB_CELL_PARAM] = &m->arena};
  switch (ref->space) {
  case EBB_CELL_ABSENT:
    return (Place){0, nowhere};
  case EBB_CELL_ELAPSED:
    return (Place){m->elapsed, &m->delapsed};
  case EBB_CELL_CONSTANT:
    return (Place){ref->value, nowhere};
  default:
    return (Place){spaces[ref->space]->value[ref->at + i], &spaces[ref->space]->grad[ref->at + i]};
  }
}

static Numbers result_of(const Machine *m, const EbbCellInstruction *in) {
  const Numbers *space = in->to.space == EBB_CELL_SEQ ? &m->seq : &m->temp;
  return (Numbers){space->value + in->to.at, space->grad + in->to.at};
}

/* ---- instructions: forward where back is false ---- */

static void run_formula(Machine *m, const EbbCellInstruction *in, bool back) {
  const Numbers to = result_of(m, in);
  double nowhere = 0;
  for (int64_t i = 0; i < in->to.width; i++) {
    double operand[EBB_CELL_OPERANDS], d[EBB_CELL_OPERANDS];
    Place place[EBB_CELL_OPERANDS];
    for (int k = 0; k < in->operands; k++) {
      place[k] = place_of(m, &in->from[k], i, &nowhere);
      operand[k] = place[k].value;
    }
    if (!back) {
      to.value[i] = formulas[in->code].value(operand);
      continue;
    }
    formulas[in->code].grad(operand, to.value[i], to.grad[i], d);
    for (int k = 0; k < in->operands; k++) *place[k].grad += d[k];
  }
}

static void run_linear(Machine *m, const EbbCellInstruction *in, bool back) {
  const Numbers to = result_of(m, in);
  double nowhere = 0;
  for (int64_t o = 0; o < in->matrix.outputs; o++) {
    const Place plus = place_of(m, &in->from[1], o, &nowhere);
    double sum = 0;
    for (int64_t i = 0; i < in->matrix.inputs; i++) {
      const int64_t at = in->matrix.at + o * in->matrix.out_stride + i * in->matrix.in_stride;
      const Place from = place_of(m, &in->from[0], i, &nowhere);
      sum += m->arena.value[at] * from.value;
      if (back) m->arena.grad[at] += to.grad[o] * from.value, *from.grad += to.grad[o] * m->arena.value[at];
    }
    if (back)
      *plus.grad += to.grad[o];
    else
      to.value[o] = sum + plus.value;
  }
}

static void run_synapses(Machine *m, const EbbCellInstruction *in, bool back) {
  const EbbCellSynapses *table = &m->cell->table[in->table];
  const EbbCellParam *param = m->cell->param;
  const Numbers to = result_of(m, in);
  const int64_t below = table->targets;
  double nowhere = 0;
  for (int64_t i = 0; i < in->to.width; i++) {
    const Place plus = place_of(m, &in->from[1], i, &nowhere);
    if (back)
      *plus.grad += to.grad[i];
    else
      to.value[i] = plus.value;
  }
  for (int64_t k = 0; k < table->count; k++) {
    const int64_t j = table->target[k], at = (int64_t)table->source[k] * table->targets + j;
    const int64_t w = param[table->w].at + at, sigma = param[table->sigma].at + at,
                  mu = param[table->mu].at + at, erev = param[table->erev].at + at;
    const Place v = place_of(m, &in->from[0], table->source[k], &nowhere);
    const double *a = m->arena.value, s = sigmoid(a[sigma] * (v.value - a[mu]));
    if (!back) {
      to.value[j] += a[w] * s * a[erev], to.value[below + j] += a[w] * s;
      continue;
    }
    const double gn = to.grad[j], gd = to.grad[below + j], both = gn * a[erev] + gd,
                 d = a[w] * s * (1 - s) * both;
    double *g = m->arena.grad;
    *v.grad += a[sigma] * d, g[w] += s * both, g[erev] += a[w] * s * gn;
    g[sigma] += (v.value - a[mu]) * d, g[mu] -= a[sigma] * d;
  }
}

static void run_combine(Machine *m, const EbbCellInstruction *in, bool back) {
  const Numbers to = result_of(m, in);
  double nowhere = 0;
  for (int64_t i = 0; i < in->to.width; i++) {
    const Place begin = place_of(m, &in->from[0], i, &nowhere),
                scale = place_of(m, &in->from[1], i, &nowhere);
    double sum = 0;
    for (int k = 2; k < in->operands; k++) {
      const Place from = place_of(m, &in->from[k], i, &nowhere);
      sum += in->c[k - 2] * from.value;
      if (back) *from.grad += to.grad[i] * scale.value * in->c[k - 2];
    }
    if (back)
      *begin.grad += to.grad[i], *scale.grad += to.grad[i] * sum;
    else
      to.value[i] = begin.value + scale.value * sum;
  }
}

static void run_repeat(Machine *m, const EbbCellInstruction *in, bool back) {
  const Numbers to = result_of(m, in);
  double nowhere = 0;
  for (int64_t i = 0; i < in->to.width; i++) {
    const Place from = place_of(m, &in->from[0], i / in->group, &nowhere);
    if (back)
      *from.grad += to.grad[i];
    else
      to.value[i] = from.value;
  }
}

static void run_group_sum(Machine *m, const EbbCellInstruction *in, bool back) {
  const Numbers to = result_of(m, in);
  double nowhere = 0;
  for (int64_t i = 0; i < in->to.width; i++) {
    if (!back) to.value[i] = 0;
    for (int64_t k = 0; k < in->group; k++) {
      const Place from = place_of(m, &in->from[0], i * in->group + k, &nowhere);
      if (back)
        *from.grad += to.grad[i];
      else
        to.value[i] += from.value;
    }
  }
}

static void softmax(Machine *m, const EbbCellInstruction *in, double *to, int64_t first) {
  double most = -INFINITY, sum = 0, nowhere = 0;
  for (int64_t k = 0; k < in->group; k++)
    most = fmax(most, place_of(m, &in->from[0], first + k, &nowhere).value);
  for (int64_t k = 0; k < in->group; k++)
    sum += to[k] = exp(place_of(m, &in->from[0], first + k, &nowhere).value - most);
  for (int64_t k = 0; k < in->group; k++) to[k] /= sum;
}

static void run_group_softmax(Machine *m, const EbbCellInstruction *in, bool back) {
  const Numbers to = result_of(m, in);
  double nowhere = 0;
  for (int64_t first = 0; first < in->to.width; first += in->group) {
    if (!back) {
      softmax(m, in, to.value + first, first);
      continue;
    }
    double dot = 0;
    for (int64_t k = first; k < first + in->group; k++) dot += to.grad[k] * to.value[k];
    for (int64_t k = first; k < first + in->group; k++)
      *place_of(m, &in->from[0], k, &nowhere).grad += to.value[k] * (to.grad[k] - dot);
  }
}

static void run_instruction(Machine *m, const EbbCellInstruction *in, bool back) {
  static void (*const motions[EBB_CELL_CODES])(Machine *, const EbbCellInstruction *, bool) = {
#define EBB_CELL_FORMULA(CODE, name, operands) [EBB_CELL_##CODE] = run_formula,
#define EBB_CELL_MOTION(CODE, name)            [EBB_CELL_##CODE] = run_##name,
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
  };
  motions[in->code](m, in, back);
}

/* ---- sections ---- */

static void section_forward(Machine *m, EbbCellSection section) {
  const EbbCellPart *part = &m->cell->part[section];
  double nowhere = 0;
  for (int i = 0; i < part->count; i++) run_instruction(m, &m->cell->instruction[part->first + i], false);
  for (int k = 0; k < part->moves; k++)
    for (int64_t i = 0; i < part->move[k].state.width; i++)
      m->state.value[part->move[k].state.at + i] = place_of(m, &part->move[k].from, i, &nowhere).value;
}

/* The state is the one before the section. */
static void section_back(Machine *m, EbbCellSection section) {
  const EbbCellPart *part = &m->cell->part[section];
  double nowhere = 0;
  for (int k = 0; k < part->moves; k++)
    for (int64_t i = 0; i < part->move[k].state.width; i++) {
      double *grad = &m->state.grad[part->move[k].state.at + i];
      *place_of(m, &part->move[k].from, i, &nowhere).grad += *grad;
      *grad = 0;
    }
  for (int i = part->count - 1; i >= 0; i--) run_instruction(m, &m->cell->instruction[part->first + i], true);
}

static void keep_state(Machine *m, int64_t slot) {
  memcpy(m->before + slot * m->cell->states, m->state.value, sizeof(double) * (size_t)m->cell->states);
}
static void recall_state(Machine *m, int64_t slot) {
  memcpy(m->state.value, m->before + slot * m->cell->states, sizeof(double) * (size_t)m->cell->states);
}

static void step_forward(Machine *m) {
  section_forward(m, EBB_CELL_SEQUENCE);
  keep_state(m, 0);
  section_forward(m, EBB_CELL_STEP);
  for (int32_t r = 0; r < m->cell->repeat; r++) {
    keep_state(m, 1 + r);
    section_forward(m, EBB_CELL_BODY);
  }
  keep_state(m, 1 + m->cell->repeat);
  section_forward(m, EBB_CELL_TAIL);
}

static void clear_body(Machine *m) {
  const EbbCellPart *part = &m->cell->part[EBB_CELL_BODY];
  for (int i = 0; i < part->count; i++) {
    const EbbCellRef *to = &m->cell->instruction[part->first + i].to;
    memset(m->temp.grad + to->at, 0, sizeof(double) * (size_t)to->width);
  }
}

/* After step_forward, with the gradients of the output and of the new state in place. */
static void step_back(Machine *m) {
  recall_state(m, 1 + m->cell->repeat);
  section_back(m, EBB_CELL_TAIL);
  for (int32_t r = m->cell->repeat - 1; r >= 0; r--) {
    clear_body(m);
    recall_state(m, 1 + r);
    section_forward(m, EBB_CELL_BODY);
    recall_state(m, 1 + r);
    section_back(m, EBB_CELL_BODY);
  }
  recall_state(m, 0);
  section_back(m, EBB_CELL_STEP);
  section_back(m, EBB_CELL_SEQUENCE);
}

/* ---- a sample ---- */

static void load_step(Machine *m, int64_t b, int64_t t) {
  const EbbCellReference *r = m->run;
  const int64_t I = m->cell->inputs, S = m->cell->states, row = b * r->T + t;
  const double *state = t ? r->states + (row - 1) * S : r->state ? r->state + b * S : NULL;
  memcpy(m->x.value, r->x + row * I, sizeof(double) * (size_t)I);
  m->elapsed = r->elapsed ? r->elapsed[row] : 1;
  for (int64_t s = 0; s < S; s++) m->state.value[s] = state ? state[s] : 0;
}

static void sample_forward(Machine *m, int64_t b) {
  const EbbCellReference *r = m->run;
  const EbbCellRef *output = &m->cell->output;
  double nowhere = 0;
  for (int64_t t = 0; t < r->T; t++) {
    const int64_t row = b * r->T + t;
    load_step(m, b, t);
    step_forward(m);
    memcpy(r->states + row * m->cell->states, m->state.value, sizeof(double) * (size_t)m->cell->states);
    for (int64_t o = 0; o < output->width; o++)
      r->y[row * output->width + o] = place_of(m, output, o, &nowhere).value;
  }
}

static void clear_step(Machine *m) {
  memset(m->x.grad, 0, sizeof(double) * (size_t)m->cell->inputs);
  memset(m->seq.grad, 0, sizeof(double) * (size_t)m->cell->seqs);
  memset(m->temp.grad, 0, sizeof(double) * (size_t)m->cell->temps);
  m->delapsed = 0;
}

static void sample_back(Machine *m, int64_t b) {
  const EbbCellReference *r = m->run;
  const EbbCellRef *output = &m->cell->output;
  const int64_t I = m->cell->inputs, S = m->cell->states;
  double nowhere = 0;
  memset(m->state.grad, 0, sizeof(double) * (size_t)S);
  for (int64_t t = r->T - 1; t >= 0; t--) {
    const int64_t row = b * r->T + t;
    load_step(m, b, t);
    step_forward(m);
    clear_step(m);
    for (int64_t o = 0; o < output->width; o++)
      *place_of(m, output, o, &nowhere).grad += r->dy[row * output->width + o];
    step_back(m);
    for (int64_t i = 0; r->dx && i < I; i++) r->dx[row * I + i] += m->x.grad[i];
    if (r->delapsed) r->delapsed[row] += m->delapsed;
  }
  for (int64_t s = 0; r->dstate && s < S; s++) r->dstate[b * S + s] += m->state.grad[s];
}

EbbStatus ebb_cell_reference(const EbbCell *cell, const EbbCellReference *run) {
  Machine m;
  EBB_TRY(start(&m, cell, run));
  load_params(&m);
  for (int64_t b = 0; b < run->B; b++) sample_forward(&m, b);
  for (int64_t b = 0; run->dy && b < run->B; b++) sample_back(&m, b);
  if (run->dy) store_grads(&m);
  free(m.memory);
  return EBB_OK;
}
