/* SYNAPSES: sums over conductance synapses, one sigmoid each. Sixteen lanes are K targets x R samples; a slot
   of a block of targets is one source for all of them, whose value is copied to the K groups of lanes first.
 */
#include <string.h>

#include "ebb/cell_formulas.h"
#include "host/ops/cell_lanes.h"
#include "host/ops/cell_madd.h"
#include "host/ops/cell_tile.h"

/* One list of synapses on one step of a frame. */
typedef struct Work {
  const EbbCellSlots *slots;
  const int32_t *first, *source;
  const float *pack;
  const EbbLanes *v; /* (sources) */
  EbbLanes *dv;      /* (sources), times -1 / ln 2 */
  EbbLanes *sums;    /* (slots, 4): sums of s gN, s gD, d, d v */
  int64_t sources, targets, stride;
  const float *add; /* (2 targets) rows of R floats, `stride` apart, or NULL */
  float *to;        /* the same; backward: its gradient */
} Work;

/* Numbers of K targets to all lanes: number j is lanes (j, k R + r) = pack[j K + k]. */
EBB_INLINE void weights_16(const float *pack, EbbLanes *w) {
  for (int j = 0; j < 4; j++) w[j] = ebb_splat_16(pack[j]);
}
EBB_INLINE void weights_8(const float *pack, EbbLanes *w) {
  EbbLanes p;
  memcpy(&p, pack, sizeof p);
#define EIGHT(a) a, a, a, a, a, a, a, a
  w[0] = __builtin_shufflevector(p, p, EIGHT(0), EIGHT(1)),
  w[1] = __builtin_shufflevector(p, p, EIGHT(2), EIGHT(3));
  w[2] = __builtin_shufflevector(p, p, EIGHT(4), EIGHT(5)),
  w[3] = __builtin_shufflevector(p, p, EIGHT(6), EIGHT(7));
#undef EIGHT
}
EBB_INLINE void weights_4(const float *pack, EbbLanes *w) {
  EbbLanes p;
  memcpy(&p, pack, sizeof p);
#define FOUR(a) a, a, a, a
  w[0] = __builtin_shufflevector(p, p, FOUR(0), FOUR(1), FOUR(2), FOUR(3));
  w[1] = __builtin_shufflevector(p, p, FOUR(4), FOUR(5), FOUR(6), FOUR(7));
  w[2] = __builtin_shufflevector(p, p, FOUR(8), FOUR(9), FOUR(10), FOUR(11));
  w[3] = __builtin_shufflevector(p, p, FOUR(12), FOUR(13), FOUR(14), FOUR(15));
#undef FOUR
}
EBB_INLINE void weights_2(const float *pack, EbbLanes *w) {
  for (int half = 0; half < 2; half++) {
    EbbLanes p;
    memcpy(&p, pack + half * EBB_LANES, sizeof p);
    w[2 * half] = __builtin_shufflevector(p, p, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    w[2 * half + 1] =
        __builtin_shufflevector(p, p, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
  }
}
EBB_INLINE void weights_1(const float *pack, EbbLanes *w) { memcpy(w, pack, 4 * sizeof *w); }

/* Rows of a block of targets as lanes, and back; lanes beyond the last target are 0. R is a constant where
   these are expanded. */
EBB_INLINE EbbLanes load_rows(const Work *work, const float *from, int64_t block, int64_t R) {
  EbbLanes lanes = {0};
  const int64_t K = EBB_LANES / R, first = block * K;
  if (work->stride == R && first + K <= work->targets) {
    memcpy(&lanes, from + first * R, sizeof lanes);
    return lanes;
  }
  for (int64_t k = 0; k < K && first + k < work->targets; k++)
    memcpy((float *)&lanes + k * R, from + (first + k) * work->stride, sizeof(float) * (size_t)R);
  return lanes;
}
EBB_INLINE void store_rows(const Work *work, float *to, int64_t block, EbbLanes lanes, int64_t R) {
  const int64_t K = EBB_LANES / R, first = block * K;
  if (work->stride == R && first + K <= work->targets) {
    memcpy(to + first * R, &lanes, sizeof lanes);
    return;
  }
  for (int64_t k = 0; k < K && first + k < work->targets; k++)
    memcpy(to + (first + k) * work->stride, (const float *)&lanes + k * R, sizeof(float) * (size_t)R);
}

/* Copies each source's R values to all groups of lanes. False where one is not finite. */
EBB_INLINE bool spread(const Work *work, const float *from, float *to, int64_t R) {
  EbbLanes zero = {0};
  for (int64_t i = 0; i < work->sources; i++) {
    for (int64_t k = 0; k < EBB_LANES; k += R)
      memcpy(to + i * EBB_LANES + k, from + i * work->stride, sizeof(float) * (size_t)R);
    zero += 0.0f * *(const EbbLanes *)(const void *)(to + i * EBB_LANES); /* a NaN from then on */
  }
  bool finite = true;
  for (int lane = 0; lane < EBB_LANES; lane++) finite = finite && zero[lane] == 0;
  return finite;
}

/* Adds the gradients of sources over all groups of lanes. */
EBB_INLINE void gather(const Work *work, const float *from, float *to, int64_t R) {
  const float minus_ln2 = -0.693147180559945309f;
  for (int64_t i = 0; i < work->sources; i++)
    for (int64_t r = 0; r < R; r++) {
      float sum = 0;
      for (int64_t lane = r; lane < EBB_LANES; lane += R) sum += from[i * EBB_LANES + lane];
      to[i * work->stride + r] += minus_ln2 * sum;
    }
}

#define DEFINE_KERNELS(R)                                                                                    \
  static void sum_##R(const Work *work) {                                                                    \
    const int64_t size = 4 * EBB_LANES / (R), below = work->targets * work->stride;                          \
    for (int64_t b = 0; b < work->slots->blocks; b++) {                                                      \
      EbbLanes numerator = {0}, denominator = {0};                                                           \
      for (int64_t slot = work->first[b]; slot < work->first[b + 1]; slot++) {                               \
        EbbLanes w[4];                                                                                       \
        weights_##R(work->pack + slot * size, w);                                                            \
        const EbbLanes s = ebb_lanes_gate(w[0] * work->v[work->source[slot]] + w[1]);                        \
        denominator += w[2] * s, numerator += w[3] * s;                                                      \
      }                                                                                                      \
      if (work->add) {                                                                                       \
        numerator += load_rows(work, work->add, b, R);                                                       \
        denominator += load_rows(work, work->add + below, b, R);                                             \
      }                                                                                                      \
      store_rows(work, work->to, b, numerator, R);                                                           \
      store_rows(work, work->to + below, b, denominator, R);                                                 \
    }                                                                                                        \
  }                                                                                                          \
  static void back_##R(const Work *work) {                                                                   \
    const int64_t size = 4 * EBB_LANES / (R), below = work->targets * work->stride;                          \
    for (int64_t b = 0; b < work->slots->blocks; b++) {                                                      \
      const EbbLanes gn = load_rows(work, work->to, b, R), gd = load_rows(work, work->to + below, b, R);     \
      for (int64_t slot = work->first[b]; slot < work->first[b + 1]; slot++) {                               \
        EbbLanes w[4], *sums = work->sums + 4 * slot;                                                        \
        weights_##R(work->pack + slot * size, w);                                                            \
        const EbbLanes v = work->v[work->source[slot]];                                                      \
        const EbbLanes s = ebb_lanes_gate(w[0] * v + w[1]);                                                  \
        const EbbLanes d = (s - s * s) * (w[3] * gn + w[2] * gd);                                            \
        work->dv[work->source[slot]] += w[0] * d;                                                            \
        sums[0] += s * gn, sums[1] += s * gd, sums[2] += d, sums[3] += d * v;                                \
      }                                                                                                      \
    }                                                                                                        \
  }                                                                                                          \
  static bool spread_##R(const Work *work, const float *from, float *to) {                                   \
    return spread(work, from, to, R);                                                                        \
  }                                                                                                          \
  static void gather_##R(const Work *work, const float *from, float *to) { gather(work, from, to, R); }
DEFINE_KERNELS(16)
DEFINE_KERNELS(8)
DEFINE_KERNELS(4)
DEFINE_KERNELS(2)
DEFINE_KERNELS(1)

/* What runs for each number of samples. */
typedef struct Kernels {
  void (*sum)(const Work *work), (*back)(const Work *work);
  bool (*spread)(const Work *work, const float *from, float *to);
  void (*gather)(const Work *work, const float *from, float *to);
} Kernels;
#define KERNELS(R) [R] = {sum_##R, back_##R, spread_##R, gather_##R}
static const Kernels by_samples[EBB_LANES + 1] = {KERNELS(1), KERNELS(2), KERNELS(4), KERNELS(8),
                                                  KERNELS(16)};

static Work work_of(const EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  const EbbCellPlan *plan = tile->shared.plan;
  const EbbCellSlots *slots = &plan->slots[line->in.table];
  const EbbCellSynapses *table = &tile->shared.cell->table[line->in.table];
  return (Work){.slots = slots,
                .first = ebb_cell_plan_list(plan, slots->first_at),
                .source = ebb_cell_plan_list(plan, slots->source_at),
                .pack = tile->shared.pack + slots->packed,
                .v = (const EbbLanes *)(const void *)tile->source,
                .sources = table->sources,
                .targets = table->targets,
                .stride = frame->columns};
}

/* One synapse after the other: what is not finite enters no target but its own, while lanes without a synapse
   would make a NaN of it. */
static void sum_exactly(const EbbCellTile *tile, const Work *work, const EbbCellLine *line,
                        const float *from) {
  const EbbCellSynapses *table = &tile->shared.cell->table[line->in.table];
  const EbbCellParam *param = tile->shared.cell->param;
  const int64_t R = tile->shared.plan->R, below = work->targets * work->stride;
  for (int64_t row = 0; row < 2 * work->targets; row++)
    for (int64_t r = 0; r < R; r++)
      work->to[row * work->stride + r] = work->add ? work->add[row * work->stride + r] : 0;
  for (int64_t j = 0; j < table->count; j++) {
    const float *arena = tile->shared.arena + (int64_t)table->source[j] * table->targets + table->target[j];
    for (int64_t r = 0; r < R; r++) {
      const float s = ebb_cell_synapse(from[table->source[j] * work->stride + r],
                                       arena[param[table->sigma].at], arena[param[table->mu].at]);
      const float ws = arena[param[table->w].at] * s;
      float *to = work->to + table->target[j] * work->stride + r;
      to[0] += ws * arena[param[table->erev].at], to[below] += ws;
    }
  }
}

static void forward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  const int64_t R = tile->shared.plan->R;
  const bool adds = line->in.operands > 1 && line->in.from[1].space != EBB_CELL_ABSENT;
  Work work = work_of(tile, frame, line);
  for (int64_t step = 0; step < frame->steps; step++) {
    const float *from = ebb_cell_value(frame, line->in.from[0]) + step * R;
    work.add = adds ? ebb_cell_value(frame, line->in.from[1]) + step * R : NULL;
    work.to = ebb_cell_value(frame, line->in.to) + step * R;
    if (by_samples[R].spread(&work, from, tile->source))
      by_samples[R].sum(&work);
    else
      sum_exactly(tile, &work, line, from);
  }
}

static void backward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  const int64_t R = tile->shared.plan->R, n = line->in.to.width * frame->columns;
  Work work = work_of(tile, frame, line);
  float *g = ebb_cell_grad(frame, line->in.to), *from = ebb_cell_grad(frame, line->in.from[0]);
  float *add = line->in.operands > 1 ? ebb_cell_grad(frame, line->in.from[1]) : NULL;
  if (add) ebb_cell_add_to(add, g, n);
  work.dv = (EbbLanes *)(void *)tile->source_grad;
  work.sums = (EbbLanes *)(void *)(tile->sums + work.slots->sums);
  for (int64_t step = 0; step < frame->steps; step++) {
    by_samples[R].spread(&work, ebb_cell_value(frame, line->in.from[0]) + step * R, tile->source);
    memset(tile->source_grad, 0, sizeof(EbbLanes) * (size_t)work.sources);
    work.to = g + step * R;
    by_samples[R].back(&work);
    if (from) by_samples[R].gather(&work, tile->source_grad, from + step * R);
  }
  memset(g, 0, sizeof(float) * (size_t)n);
}

/* The gradients of synapse `at` from its four sums over time and samples. */
static void finish_synapse(EbbCellTile *tile, const EbbCellSynapses *table, int64_t at, const double *sum) {
  const EbbCellParam *param = tile->shared.cell->param;
  const float *arena = tile->shared.arena + at;
  double *to = tile->partial + at;
  const double sigma = (double)arena[param[table->sigma].at], mu = (double)arena[param[table->mu].at];
  to[param[table->w].at] += sum[0] * (double)arena[param[table->erev].at] + sum[1];
  to[param[table->erev].at] += sum[0] * (double)arena[param[table->w].at];
  to[param[table->mu].at] -= sigma * sum[2];
  to[param[table->sigma].at] += sum[3] - mu * sum[2];
}

void ebb_cell_flush_synapses(EbbCellTile *tile) {
  const EbbCellPlan *plan = tile->shared.plan;
  for (int t = 0; t < tile->shared.cell->n_tables; t++) {
    const EbbCellSynapses *table = &tile->shared.cell->table[t];
    const EbbCellSlots *slots = &plan->slots[t];
    const int32_t *synapse = ebb_cell_plan_list(plan, slots->synapse_at);
    for (int64_t i = 0; i < slots->slots * plan->K; i++) {
      if (synapse[i] < 0) continue;
      const float *from = tile->sums + slots->sums + i / plan->K * 4 * EBB_LANES + i % plan->K * plan->R;
      double sum[4] = {0};
      for (int j = 0; j < 4; j++)
        for (int64_t r = 0; r < plan->R; r++) sum[j] += (double)from[j * EBB_LANES + r];
      const int32_t j = synapse[i];
      finish_synapse(tile, table, (int64_t)table->source[j] * table->targets + table->target[j], sum);
    }
  }
  memset(tile->sums, 0, sizeof(float) * (size_t)plan->sums);
}

const EbbCellRunner ebb_cell_run_synapses = {forward, backward};
