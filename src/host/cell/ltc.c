/* Liquid time-constant cells with conductance synapses, as ncps and the AAAI-21 code have them. */
#include <stdlib.h>

#include "ebb/rng.h"
#include "host/cell/write.h"

/* What the two conventions share: the parameters that the solver reads. */
typedef struct Neurons {
  int64_t H;
  EbbCellRef gleak, vleak, cm;
  EbbCellRef sensory; /* sums of the sensory synapses */
  EbbCellRef sums;    /* of all synapses at the start of a sub-step */
  int table;
} Neurons;

/* One set of synapses in one convention. */
typedef struct Synapses {
  const char *w, *sigma, *mu, *erev;
  int64_t sources, targets;
  const float *exists, *polarity;
  double low; /* weights from U(low, 1) */
  bool implicit, clipped;
} Synapses;

/* Signs where no wiring gives them: + for two in three, 0 where there is no synapse. */
static float *reversal_potentials(const Synapses *s) {
  const uint64_t seed = 0x1173c;
  const int64_t size = s->sources * s->targets;
  float *signs = malloc((size_t)size * sizeof *signs);
  for (int64_t i = 0; signs && i < size; i++) {
    const float drawn =
        ebb_unit_float(ebb_random(seed, (uint64_t)s->sources, 0, (uint64_t)i)) < 2.0f / 3 ? 1 : -1;
    signs[i] = s->polarity ? s->polarity[i] : s->exists && s->exists[i] == 0 ? 0 : drawn;
  }
  return signs;
}

/* The clip of the AAAI-21 code after every update. */
static void clip(EbbCell *cell, double low) {
  if (cell->status != EBB_OK) return;
  EbbParamSpec *spec = &cell->param[cell->n_params - 1].spec;
  spec->constraint = EBB_CLIPPED, spec->low = low, spec->high = 1000;
}

static int write_synapses(EbbCell *cell, const Synapses *s) {
  float *signs = reversal_potentials(s);
  if (!signs) cell->status = ebb_fail(EBB_MEMORY, "no memory for the synapses of cell '%s'", cell->name);
  const EbbCellRef w = ebb_write_positive(cell, s->w, s->sources, s->targets, s->low, 1, s->implicit);
  if (s->clipped) clip(cell, 1e-5);
  const EbbCellRef sigma = ebb_write_param(cell, s->sigma, s->sources, s->targets, 3, 8),
                   mu = ebb_write_param(cell, s->mu, s->sources, s->targets, 0.3, 0.8);
  const EbbParamSpec spec = {.name = s->erev, .shape = ebb_shape(s->sources, s->targets)};
  const EbbCellRef erev = ebb_cell_param(cell, &spec, EBB_CELL_AS_IS, signs, NULL);
  free(signs);
  return ebb_cell_synapses(cell, w, sigma, mu, erev, s->sources, s->targets, s->exists);
}

/* x w + b, x w or x of the vector's own parameters `w` and `b`. */
static EbbCellRef write_mapping(EbbCell *cell, EbbMapping mapping, const char *w, const char *b,
                                EbbCellRef x) {
  if (mapping == EBB_MAPPING_NONE) return x;
  const EbbCellRef weight = ebb_write_param(cell, w, x.width, 0, 1, 1);
  if (mapping == EBB_MAPPING_LINEAR) return ebb_write2(cell, EBB_CELL_MULTIPLY, x, weight);
  return ebb_write3(cell, EBB_CELL_AFFINE, x, weight, ebb_write_param(cell, b, x.width, 0, 0, 0));
}

/* Both sets of synapses, and the sums of the sensory ones, which do not depend on the state. */
static void connect(EbbCell *cell, Neurons *n, const Synapses *between, const Synapses *sensory,
                    EbbMapping mapping) {
  n->table = write_synapses(cell, between);
  const int from_sensors = write_synapses(cell, sensory);
  const EbbCellRef x = write_mapping(cell, mapping, "input_w", "input_b", ebb_cell_x(cell));
  n->sensory = ebb_cell_synapse_sums(cell, from_sensors, x, ebb_cell_absent());
}

static EbbCellRef half_of(EbbCell *cell, const Neurons *n, EbbCellRef sums, int half) {
  return ebb_cell_slice(cell, sums, half * n->H, n->H);
}

static EbbCellRef slope(EbbCell *cell, const void *context, EbbCellRef v) {
  const Neurons *n = context;
  const bool starts = v.space == EBB_CELL_STATE;
  const EbbCellRef sums = starts ? n->sums : ebb_cell_synapse_sums(cell, n->table, v, n->sensory);
  const EbbCellRef from[] = {v,       half_of(cell, n, sums, 0), half_of(cell, n, sums, 1), n->cm, n->gleak,
                             n->vleak};
  return ebb_cell_apply(cell, EBB_CELL_LTC_SLOPE, n->H, 6, from);
}

static EbbCellRef rate_of(EbbCell *cell, const Neurons *n) {
  return ebb_write3(cell, EBB_CELL_LTC_RATE, half_of(cell, n, n->sums, 1), n->cm, n->gleak);
}

/* The state after a fused sub-step of elapsed * dt. */
static EbbCellRef fused_step(EbbCell *cell, const Neurons *n, EbbCellRef v, double dt, double epsilon) {
  const EbbCellRef from[] = {v,
                             half_of(cell, n, n->sums, 0),
                             half_of(cell, n, n->sums, 1),
                             n->cm,
                             n->gleak,
                             n->vleak,
                             ebb_cell_elapsed(cell),
                             ebb_cell_constant(dt),
                             ebb_cell_constant(epsilon)};
  return ebb_cell_apply(cell, EBB_CELL_LTC_FUSED, n->H, 9, from);
}

/* `next` where the explicit sub-step is stable, else the fused one. */
static EbbCellRef guarded(EbbCell *cell, const Neurons *n, EbbCellRef v, EbbCellRef next, double dt) {
  const EbbCellRef from[] = {next,
                             fused_step(cell, n, v, dt, 0),
                             cell->rate,
                             ebb_cell_elapsed(cell),
                             ebb_cell_constant(dt),
                             ebb_cell_constant((double)cell->rate_limit)};
  return ebb_cell_apply(cell, EBB_CELL_WITHIN, n->H, 6, from);
}

/* How the sub-steps are taken; of elapsed * dt each. */
typedef struct Solver {
  EbbLtcSolver kind;
  double dt, epsilon;
  bool with_rate, fall_back;
} Solver;

/* A sub-step that falls back is always stable, so that there is no limit to keep. */
static EbbCellRef explicit_step(EbbCell *cell, const Neurons *n, const Solver *solver, EbbCellRef v) {
  const EbbTableau *tableau = ebb_tableau_find(solver->kind == EBB_LTC_EULER ? "euler" : "rk4");
  cell->rate_limit = (float)tableau->real_limit, cell->rate_step = (float)solver->dt;
  const EbbCellRef next =
      ebb_write_runge_kutta(cell, tableau, v, ebb_cell_elapsed(cell), solver->dt, slope, n);
  if (!solver->fall_back) return next;
  const EbbCellRef safe = guarded(cell, n, v, next, solver->dt);
  cell->rate_limit = 0;
  return safe;
}

static void write_sub_step(EbbCell *cell, Neurons *n, const Solver *solver, EbbCellRef v) {
  const bool fused = solver->kind == EBB_LTC_FUSED;
  n->sums = ebb_cell_synapse_sums(cell, n->table, v, n->sensory);
  if (!fused || solver->with_rate) cell->rate = rate_of(cell, n);
  ebb_cell_move(cell, v,
                fused ? fused_step(cell, n, v, solver->dt, solver->epsilon)
                      : explicit_step(cell, n, solver, v));
}

EbbLtc ebb_ltc_defaults(int64_t I, int64_t H) {
  return (EbbLtc){.I = I,
                  .H = H,
                  .motors = H,
                  .unfolds = 6,
                  .input_mapping = EBB_MAPPING_AFFINE,
                  .output_mapping = EBB_MAPPING_AFFINE,
                  .implicit = true,
                  .epsilon = 1e-8};
}

static EbbStatus check(const EbbLtc *ltc) {
  EBB_TRY(ebb_cell_check_sizes("ltc", ltc->H, ltc->unfolds));
  if (ltc->motors < 1 || ltc->motors > ltc->H)
    return ebb_fail(EBB_INVALID, "cell 'ltc': %lld motor neurons of %lld units", (long long)ltc->motors,
                    (long long)ltc->H);
  if (!(ltc->epsilon >= 0 && ltc->epsilon <= 1))
    return ebb_fail(EBB_INVALID, "cell 'ltc': epsilon %g is outside 0..1", ltc->epsilon);
  return EBB_OK;
}

static void write_ltc(EbbCell *cell, const EbbLtc *ltc) {
  const int64_t H = ltc->H;
  const EbbCellRef h = ebb_cell_state(cell, H),
                   c = ltc->mixed_memory ? ebb_cell_state(cell, H) : ebb_cell_absent();
  const EbbCellRef memory =
      ltc->mixed_memory ? ebb_write_lstm_input(cell, "lstm.", ebb_cell_x(cell), H) : ebb_cell_absent();
  Neurons n = {.H = H};
  n.gleak = ebb_write_positive(cell, "gleak", H, 0, 0.001, 1, ltc->implicit);
  n.vleak = ebb_write_param(cell, "vleak", H, 0, -0.2, 0.2);
  n.cm = ebb_write_positive(cell, "cm", H, 0, 0.4, 0.6, ltc->implicit);
  const Synapses between = {
      "w",   "sigma",       "mu", "erev", H, H, ltc->wiring.exists, ltc->wiring.polarity,
      0.001, ltc->implicit, false};
  const Synapses sensory = {"sensory_w",
                            "sensory_sigma",
                            "sensory_mu",
                            "sensory_erev",
                            ltc->I,
                            H,
                            ltc->wiring.sensory_exists,
                            ltc->wiring.sensory_polarity,
                            0.001,
                            ltc->implicit,
                            false};
  connect(cell, &n, &between, &sensory, ltc->input_mapping);
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  if (ltc->mixed_memory) ebb_write_lstm(cell, "lstm.", memory, h, c);
  ebb_cell_begin(cell, EBB_CELL_BODY, ltc->unfolds);
  const Solver solver = {ltc->solver, 1 / (double)ltc->unfolds, ltc->epsilon, ltc->with_rate, ltc->fall_back};
  write_sub_step(cell, &n, &solver, h);
}

EbbStatus ebb_cell_ltc(const EbbLtc *ltc, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(check(ltc));
  EBB_TRY(ebb_cell_create("ltc", ltc->I, &cell));
  write_ltc(cell, ltc);
  ebb_cell_begin(cell, EBB_CELL_TAIL, 1);
  const EbbCellRef motors = {.space = EBB_CELL_STATE, .width = (int32_t)ltc->motors};
  return ebb_write_end(cell, write_mapping(cell, ltc->output_mapping, "output_w", "output_b", motors), out);
}

EbbLtcAaai ebb_ltc_aaai_defaults(int64_t I, int64_t H) {
  return (EbbLtcAaai){.I = I, .H = H, .unfolds = 6, .step = 0.1};
}

static void write_aaai(EbbCell *cell, const EbbLtcAaai *ltc, EbbCellRef h) {
  const int64_t H = ltc->H;
  Neurons n = {.H = H};
  n.gleak = ebb_write_param(cell, "gleak", H, 0, 1, 1);
  clip(cell, 1e-5);
  n.vleak = ebb_write_param(cell, "vleak", H, 0, -0.2, 0.2);
  n.cm = ebb_write_param(cell, "cm_t", H, 0, 0.5, 0.5);
  clip(cell, 1e-6);
  const Synapses between = {"W",  "sigma", "mu", "erev", H, H, ltc->wiring.exists, ltc->wiring.polarity,
                            0.01, false,   true};
  const Synapses sensory = {"sensory_W",
                            "sensory_sigma",
                            "sensory_mu",
                            "sensory_erev",
                            ltc->I,
                            H,
                            ltc->wiring.sensory_exists,
                            ltc->wiring.sensory_polarity,
                            0.01,
                            false,
                            true};
  connect(cell, &n, &between, &sensory, EBB_MAPPING_AFFINE);
  ebb_cell_begin(cell, EBB_CELL_BODY, ltc->unfolds);
  const double dt = ltc->solver == EBB_LTC_FUSED ? 1 : ltc->step;
  const Solver solver = {ltc->solver, dt, 0, ltc->with_rate, ltc->fall_back};
  write_sub_step(cell, &n, &solver, h);
}

EbbStatus ebb_cell_ltc_aaai(const EbbLtcAaai *ltc, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("ltc_aaai", ltc->H, ltc->unfolds));
  if (!(ltc->step > 0 && ltc->step <= 1000))
    return ebb_fail(EBB_INVALID, "cell 'ltc_aaai': sub-steps of %g; a positive time is needed", ltc->step);
  EBB_TRY(ebb_cell_create("ltc_aaai", ltc->I, &cell));
  const EbbCellRef h = ebb_cell_state(cell, ltc->H);
  write_aaai(cell, ltc, h);
  return ebb_write_end(cell, h, out);
}
