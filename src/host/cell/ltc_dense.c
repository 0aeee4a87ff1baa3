/* Liquid time-constant cells whose gates are matrix products: the paper's vector form, LTC-TextGen and
   LiquidTimeStep. */
#include "host/cell/write.h"

/* ---- vector form ---- */

EbbLtcVector ebb_ltc_vector_defaults(int64_t I, int64_t H) {
  return (EbbLtcVector){.I = I, .H = H, .unfolds = 6};
}

static void write_vector(EbbCell *cell, const EbbLtcVector *ltc, EbbCellRef h) {
  const int64_t I = ltc->I, H = ltc->H;
  const double in = glorot(I, H), between = glorot(H, H);
  const EbbCellRef W = ebb_write_param(cell, "W", I, H, -in, in),
                   Wr = ebb_write_param(cell, "Wr", H, H, -between, between),
                   b = ebb_write_param(cell, "b", H, 0, 0, 0),
                   tau = ebb_write_positive(cell, "tau", H, 0, 0.5, 2, false),
                   A = ebb_write_param(cell, "A", H, 0, -1, 1);
  const EbbCellRef z = ebb_cell_linear(cell, ebb_cell_matrix(cell, W, H, I, true, 0, I), ebb_cell_x(cell), b);
  ebb_cell_begin(cell, EBB_CELL_BODY, ltc->unfolds);
  const EbbCellRef sum = ebb_cell_linear(cell, ebb_cell_matrix(cell, Wr, H, H, true, 0, H), h, z);
  const EbbCellRef f = ebb_write1(cell, ltc->tanh ? EBB_CELL_TANH : EBB_CELL_SIGMOID, sum);
  const EbbCellRef from[] = {
      h, f, A, tau, ebb_cell_elapsed(cell), ebb_cell_constant(1 / (double)ltc->unfolds)};
  ebb_cell_move(cell, h, ebb_cell_apply(cell, EBB_CELL_VECTOR_FUSED, H, 6, from));
  const EbbCellRef rate_from[] = {tau, f};
  if (ltc->with_rate) cell->rate = ebb_cell_apply(cell, EBB_CELL_VECTOR_RATE, H, 2, rate_from);
}

EbbStatus ebb_cell_ltc_vector(const EbbLtcVector *ltc, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("ltc_vector", ltc->H, ltc->unfolds));
  EBB_TRY(ebb_cell_create("ltc_vector", ltc->I, &cell));
  const EbbCellRef h = ebb_cell_state(cell, ltc->H);
  write_vector(cell, ltc, h);
  return ebb_write_end(cell, h, out);
}

/* ---- LTC-TextGen ---- */

typedef struct Textgen {
  const EbbLtcTextgen *ltc;
  EbbCellMatrix rec, adp;
  EbbCellRef c, input, adp_bias;
} Textgen;

static const double tau_low = 1e-6, tau_high = 1e6, slope_bound = 1e6;

static EbbCellRef clamp(EbbCell *cell, EbbCellRef x, double low, double high) {
  return ebb_write3(cell, EBB_CELL_CLAMP, x, ebb_cell_constant(low), ebb_cell_constant(high));
}

static EbbCellRef target_of(EbbCell *cell, const Textgen *t, EbbCellRef h) {
  return ebb_cell_linear(cell, t->rec, h, t->input);
}

/* What the time constant depends on. */
static EbbCellRef gate_of(EbbCell *cell, const Textgen *t, EbbCellRef h, EbbCellRef target) {
  if (!t->ltc->adaptive) return target;
  const EbbCellRef sum = ebb_cell_linear(cell, t->adp, h, target);
  return t->adp_bias.width ? ebb_write2(cell, EBB_CELL_ADD, sum, t->adp_bias) : sum;
}

static EbbCellRef textgen_slope(EbbCell *cell, const void *context, EbbCellRef h) {
  const Textgen *t = context;
  const bool second = t->ltc->version == 2;
  const EbbCellRef target = target_of(cell, t, h);
  const EbbCellRef gate =
      ebb_write1(cell, second ? EBB_CELL_SIGMOID : EBB_CELL_TANH, gate_of(cell, t, h, target));
  EbbCellRef tau = ebb_write2(cell, EBB_CELL_MULTIPLY, gate, t->c);
  if (second) tau = clamp(cell, tau, tau_low, tau_high);
  return ebb_write3(cell, EBB_CELL_LEAK, target, h, tau);
}

/* Version 2 clamps the slope, Euler's before it is multiplied by the step, that of RK4 after. */
static EbbCellRef explicit_step(EbbCell *cell, const Textgen *t, EbbCellRef h) {
  const bool euler = t->ltc->solver == EBB_TEXTGEN_EULER;
  const EbbTableau *tableau = ebb_tableau_find(euler ? "euler" : "rk4");
  const EbbCellRef elapsed = ebb_cell_elapsed(cell);
  if (t->ltc->version == 1)
    return ebb_write_runge_kutta(cell, tableau, h, elapsed, t->ltc->step, textgen_slope, t);
  if (euler) {
    const EbbCellRef k = clamp(cell, textgen_slope(cell, t, h), -slope_bound, slope_bound);
    return ebb_write_step(cell, h, elapsed, t->ltc->step, k);
  }
  const EbbCellRef by = ebb_write_increment(cell, tableau, h, elapsed, t->ltc->step, textgen_slope, t);
  return ebb_write2(cell, EBB_CELL_ADD, h, clamp(cell, by, -slope_bound, slope_bound));
}

static EbbCellRef semi_implicit_step(EbbCell *cell, const Textgen *t, EbbCellRef h) {
  const EbbCellRef target = target_of(cell, t, h), gate = gate_of(cell, t, h, target);
  const EbbCellRef tau = ebb_write1(cell, EBB_CELL_SOFTPLUS, ebb_write2(cell, EBB_CELL_ADD, gate, t->c));
  const EbbCellRef from[] = {h, target, tau, ebb_cell_elapsed(cell), ebb_cell_constant(t->ltc->step)};
  return ebb_cell_apply(cell, EBB_CELL_RELAX, h.width, 5, from);
}

EbbLtcTextgen ebb_ltc_textgen_defaults(int64_t H, int version) {
  const bool second = version == 2;
  return (EbbLtcTextgen){.H = H,
                         .unfolds = second ? 10 : 5,
                         .step = 0.01,
                         .solver = second ? EBB_TEXTGEN_RK4 : EBB_TEXTGEN_EULER,
                         .adaptive = true,
                         .version = version};
}

static EbbCellMatrix square(EbbCell *cell, const char *name, int64_t H, bool orthogonal) {
  const EbbCellRef weight = ebb_write_param(cell, name, H, H, -glorot(H, H), glorot(H, H));
  if (cell->status == EBB_OK) cell->param[cell->n_params - 1].orthogonal = orthogonal;
  return ebb_cell_matrix(cell, weight, H, H, false, 0, H);
}

static void write_textgen(EbbCell *cell, const EbbLtcTextgen *ltc, EbbCellRef h) {
  const int64_t H = ltc->H;
  const bool biases = ltc->version == 1;
  const double bias = 1 / sqrt((double)H);
  Textgen t = {.ltc = ltc, .input = ebb_cell_x(cell)};
  t.rec = square(cell, "rec.weight", H, !biases);
  t.c = ebb_write_param(cell, "time_constant", H, 0, biases ? -1 : 0.1, 1);
  if (ltc->adaptive) t.adp = square(cell, "adp.weight", H, false);
  if (ltc->adaptive && biases) t.adp_bias = ebb_write_param(cell, "adp.bias", H, 0, -bias, bias);
  if (biases)
    t.input = ebb_write2(cell, EBB_CELL_ADD, t.input, ebb_write_param(cell, "rec.bias", H, 0, -bias, bias));
  ebb_cell_begin(cell, EBB_CELL_BODY, ltc->unfolds);
  ebb_cell_move(cell, h,
                ltc->solver == EBB_TEXTGEN_SEMI_IMPLICIT ? semi_implicit_step(cell, &t, h)
                                                         : explicit_step(cell, &t, h));
}

EbbStatus ebb_cell_ltc_textgen(const EbbLtcTextgen *ltc, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("ltc_textgen", ltc->H, ltc->unfolds));
  if (ltc->version != 1 && ltc->version != 2)
    return ebb_fail(EBB_INVALID, "cell 'ltc_textgen': version %d; there are 1 and 2", ltc->version);
  EBB_TRY(ebb_cell_create("ltc_textgen", ltc->H, &cell));
  const EbbCellRef h = ebb_cell_state(cell, ltc->H);
  write_textgen(cell, ltc, h);
  return ebb_write_end(cell, h, out);
}

/* ---- LiquidTimeStep ---- */

static void write_time_step(EbbCell *cell, int64_t I, EbbCellRef h) {
  const int64_t H = h.width;
  const double in = 1 / sqrt((double)I), between = 1 / sqrt((double)H);
  const EbbCellRef W_in = ebb_write_param(cell, "W_in.weight", H, I, -in, in),
                   b_in = ebb_write_param(cell, "W_in.bias", H, 0, -in, in),
                   W_h = ebb_write_param(cell, "W_h.weight", H, H, -between, between),
                   b_h = ebb_write_param(cell, "W_h.bias", H, 0, -between, between),
                   tau = ebb_write_param(cell, "tau", H, 0, 1, 1);
  const EbbCellRef x =
      ebb_cell_linear(cell, ebb_cell_matrix(cell, W_in, H, I, false, 0, I), ebb_cell_x(cell), b_in);
  const EbbCellRef input = ebb_write2(cell, EBB_CELL_ADD, x, b_h);
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef sum = ebb_cell_linear(cell, ebb_cell_matrix(cell, W_h, H, H, false, 0, H), h, input);
  const EbbCellRef slope = ebb_write3(cell, EBB_CELL_LEAK, ebb_write1(cell, EBB_CELL_TANH, sum), h, tau);
  ebb_cell_move(cell, h, ebb_write_step(cell, h, ebb_cell_elapsed(cell), 1, slope));
}

EbbStatus ebb_cell_liquid_time_step(int64_t I, int64_t H, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("liquid_time_step", H, 1));
  EBB_TRY(ebb_cell_create("liquid_time_step", I, &cell));
  const EbbCellRef h = ebb_cell_state(cell, H);
  write_time_step(cell, I, h);
  return ebb_write_end(cell, h, out);
}
