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
  const int32_t *cut, *below, *source;
  const float *pack;
  const float *from; /* (sources) rows of R floats, `stride` apart */
  float *from_grad;  /* the same; NULL: not wanted */
  EbbLanes *v;       /* (sources): from, in all groups of lanes */
  EbbLanes *dv;      /* (sources), times -1 / ln 2 */
  float *sums;       /* (slots, plan->slot_sums): of s gN, s gD, d, d v */
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
EBB_INLINE void weights_1(const float *pack, EbbLanes *w) {
  for (int j = 0; j < 4; j++) w[j] = *(const EbbVector16 *)(const void *)(pack + j * EBB_LANES);
}

/* R floats to all groups of lanes. */
EBB_INLINE EbbLanes repeat_16(const float *from) {
  EbbLanes lanes;
  memcpy(&lanes, from, sizeof lanes);
  return lanes;
}
EBB_INLINE EbbLanes repeat_8(const float *from) {
  const EbbVector8 p = *(const EbbVector8 *)(const void *)from;
  return __builtin_shufflevector(p, p, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
}
EBB_INLINE EbbLanes repeat_4(const float *from) {
  const EbbVector4 p = *(const EbbVector4 *)(const void *)from;
  return __builtin_shufflevector(p, p, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
}
EBB_INLINE EbbLanes repeat_2(const float *from) {
  const EbbVector2 p = *(const EbbVector2 *)(const void *)from;
  return __builtin_shufflevector(p, p, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1);
}

/* The value of a slot's source in all groups of lanes; that of one sample needs no copies. */
EBB_INLINE EbbLanes copied_value(const Work *work, int64_t slot) { return work->v[work->source[slot]]; }
EBB_INLINE EbbLanes only_value(const Work *work, int64_t slot) {
  return (EbbLanes)ebb_splat_16(work->from[work->source[slot] * work->stride]);
}

/* Rows of a block of targets as lanes, and back; lanes beyond the last target are 0. R is a constant where
   these are expanded. Single rows go through memory of their own: a compiler keeps no vector in a register
   whose address was taken. */
EBB_INLINE EbbLanes load_rows(const Work *work, const float *from, int64_t block, int64_t R) {
  const int64_t K = EBB_LANES / R, first = block * K;
  if (work->stride == R && first + K <= work->targets)
    return *(const EbbVector16 *)(const void *)(from + first * R);
  float row[EBB_LANES] = {0};
  for (int64_t k = 0; k < K && first + k < work->targets; k++)
    memcpy(row + k * R, from + (first + k) * work->stride, sizeof(float) * (size_t)R);
  return *(const EbbVector16 *)(const void *)row;
}
EBB_INLINE void store_rows(const Work *work, float *to, int64_t block, EbbLanes lanes, int64_t R) {
  const int64_t K = EBB_LANES / R, first = block * K;
  if (work->stride == R && first + K <= work->targets) {
    *(EbbVector16 *)(void *)(to + first * R) = lanes;
    return;
  }
  float row[EBB_LANES];
  *(EbbVector16 *)(void *)row = lanes;
  for (int64_t k = 0; k < K && first + k < work->targets; k++)
    memcpy(to + (first + k) * work->stride, row + k * R, sizeof(float) * (size_t)R);
}

/* Adds the gradients of sources over all groups of lanes. */
EBB_INLINE void gather(const Work *work, int64_t begin, int64_t end, int64_t R) {
  const float minus_ln2 = -0.693147180559945309f, *dv = (const float *)work->dv;
  for (int64_t i = begin; i < end; i++)
    for (int64_t r = 0; r < R; r++) {
      float sum = 0;
      for (int64_t lane = r; lane < EBB_LANES; lane += R) sum += dv[i * EBB_LANES + lane];
      work->from_grad[i * work->stride + r] += minus_ln2 * sum;
    }
}

/* Copies sources begin .. end - 1 to all groups of lanes. False where one is not finite. */
#define DEFINE_SPREAD(R)                                                                                     \
  EBB_INLINE bool spread_##R(const Work *work, int64_t begin, int64_t end) {                                 \
    EbbLanes zero = {0};                                                                                     \
    for (int64_t i = begin; i < end; i++) {                                                                  \
      const EbbLanes v = repeat_##R(work->from + i * work->stride);                                          \
      zero += 0.0f * v; /* NaN from what is not finite on */                                                 \
      work->v[i] = v;                                                                                        \
    }                                                                                                        \
    for (int lane = 0; lane < (R); lane++)                                                                   \
      if (zero[lane] != 0) return false;                                                                     \
    return true;                                                                                             \
  }
DEFINE_SPREAD(16)
DEFINE_SPREAD(8)
DEFINE_SPREAD(4)
DEFINE_SPREAD(2)
EBB_INLINE bool spread_1(const Work *work, int64_t begin, int64_t end) {
  const uint32_t infinity = 0x7F800000;
  uint32_t largest = 0;
  for (int64_t i = begin; i < end; i++) {
    uint32_t bits;
    memcpy(&bits, work->from + i * work->stride, sizeof bits);
    bits &= 0x7FFFFFFF;
    largest = bits > largest ? bits : largest;
  }
  return largest < infinity;
}

/* Adds four numbers of each lane to a slot's sums: as they are, or those of four lanes that belong to one
   target together, which takes a quarter of the memory. */
EBB_INLINE void add_lanes(float *sums, EbbLanes a, EbbLanes b, EbbLanes c, EbbLanes d) {
  EbbLanes *to = (EbbLanes *)(void *)sums;
  to[0] += a, to[1] += b, to[2] += c, to[3] += d;
}
EBB_INLINE EbbLanes pair_sums(EbbLanes a, EbbLanes b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29) +
         __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
}
EBB_INLINE void add_fours(float *sums, EbbLanes a, EbbLanes b, EbbLanes c, EbbLanes d) {
  const EbbLanes ab = pair_sums(a, b), cd = pair_sums(c, d);
  *(EbbLanes *)(void *)sums +=
      __builtin_shufflevector(ab, cd, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
      __builtin_shufflevector(ab, cd, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}

/* The first block that begins at this slot or behind it: a block goes with its first slot. */
static int64_t block_from(const Work *work, int64_t slot) {
  int64_t low = 0, high = work->slots->blocks;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (work->cut[middle] < slot)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Slots whose sums stand before those of a chunk. */
static int64_t sums_before(const EbbCellSlots *slots, const int32_t *cut, int64_t chunk) {
  int64_t before = 0;
  for (int64_t b = 0; b < slots->blocks; b++) before += cut[chunk * slots->blocks + b] - cut[b];
  return before;
}

#define DEFINE_KERNELS(R, VALUE, ADD, SUMS)                                                                  \
  static void sum_##R(const void *work, int64_t begin, int64_t end) {                                        \
    const Work k = *(const Work *)work; /* stores through vectors could change what lies in memory */        \
    const int64_t size = 4 * EBB_LANES / (R), below = k.targets * k.stride;                                  \
    const int64_t end_block = end < k.slots->slots ? block_from(&k, end) : k.slots->blocks;                  \
    for (int64_t b = block_from(&k, begin); b < end_block; b++) {                                            \
      EbbLanes numerator = {0}, denominator = {0};                                                           \
      const int64_t last = k.cut[k.slots->chunks * k.slots->blocks + b];                                     \
      for (int64_t slot = k.cut[b]; slot < last; slot++) {                                                   \
        EbbLanes w[4];                                                                                       \
        weights_##R(k.pack + slot * size, w);                                                                \
        const EbbLanes v = VALUE(&k, slot);                                                                  \
        const EbbLanes s = ebb_lanes_gate(w[0] * v + w[1]);                                                  \
        denominator += w[2] * s, numerator += w[3] * s;                                                      \
      }                                                                                                      \
      if (k.add) {                                                                                           \
        numerator += load_rows(&k, k.add, b, R);                                                             \
        denominator += load_rows(&k, k.add + below, b, R);                                                   \
      }                                                                                                      \
      store_rows(&k, k.to, b, numerator, R);                                                                 \
      store_rows(&k, k.to + below, b, denominator, R);                                                       \
    }                                                                                                        \
  }                                                                                                          \
  static void back_##R(const void *work, int64_t begin, int64_t end) {                                       \
    const Work k = *(const Work *)work;                                                                      \
    const int64_t size = 4 * EBB_LANES / (R), below = k.targets * k.stride, blocks = k.slots->blocks;        \
    const int64_t first = ebb_cell_chunk_source(k.slots, k.below, k.sources, begin);                         \
    const int64_t last = ebb_cell_chunk_source(k.slots, k.below, k.sources, end);                            \
    spread_##R(&k, first, last);                                                                             \
    memset(k.dv + first, 0, sizeof(EbbLanes) * (size_t)(last - first));                                      \
    float *sums = k.sums + sums_before(k.slots, k.cut, begin) * (SUMS);                                      \
    for (int64_t at = begin * blocks; at < end * blocks; at++) {                                             \
      const EbbLanes gn = load_rows(&k, k.to, at % blocks, R);                                               \
      const EbbLanes gd = load_rows(&k, k.to + below, at % blocks, R);                                       \
      for (int64_t slot = k.cut[at]; slot < k.cut[at + blocks]; slot++, sums += (SUMS)) {                    \
        EbbLanes w[4];                                                                                       \
        weights_##R(k.pack + slot * size, w);                                                                \
        const EbbLanes v = VALUE(&k, slot);                                                                  \
        const EbbLanes s = ebb_lanes_gate(w[0] * v + w[1]);                                                  \
        const EbbLanes d = (s - s * s) * (w[3] * gn + w[2] * gd);                                            \
        k.dv[k.source[slot]] += w[0] * d;                                                                    \
        ADD(sums, s *gn, s *gd, d, d *v);                                                                    \
      }                                                                                                      \
    }                                                                                                        \
    if (k.from_grad) gather(&k, first, last, R);                                                             \
  }                                                                                                          \
  static bool begin_##R(const Work *work) { return spread_##R(work, 0, work->sources); }
DEFINE_KERNELS(16, copied_value, add_fours, EBB_LANES)
DEFINE_KERNELS(8, copied_value, add_fours, EBB_LANES)
DEFINE_KERNELS(4, copied_value, add_fours, EBB_LANES)
DEFINE_KERNELS(2, copied_value, add_lanes, 4 * EBB_LANES)
DEFINE_KERNELS(1, only_value, add_lanes, 4 * EBB_LANES)

/* What runs for each number of samples. */
typedef struct Kernels {
  bool (*begin)(const Work *work);                            /* before `sum`; false: not all is finite */
  void (*sum)(const void *work, int64_t begin, int64_t end);  /* slots, in whole blocks */
  void (*back)(const void *work, int64_t begin, int64_t end); /* chunks of sources */
} Kernels;
#define KERNELS(R) [R] = {begin_##R, sum_##R, back_##R}
static const Kernels by_samples[EBB_LANES + 1] = {KERNELS(1), KERNELS(2), KERNELS(4), KERNELS(8),
                                                  KERNELS(16)};

static Work work_of(const EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  const EbbCellPlan *plan = tile->shared.plan;
  const EbbCellSlots *slots = &plan->slots[line->in.table];
  const EbbCellSynapses *table = &tile->shared.cell->table[line->in.table];
  return (Work){.slots = slots,
                .cut = ebb_cell_plan_list(plan, slots->cut_at),
                .below = ebb_cell_plan_list(plan, slots->below_at),
                .source = ebb_cell_plan_list(plan, slots->source_at),
                .pack = tile->shared.pack + slots->packed,
                .v = (EbbLanes *)(void *)tile->source,
                .sources = table->sources,
                .targets = table->targets,
                .stride = frame->columns};
}

/* One synapse after the other: what is not finite enters no target but its own, while lanes without a synapse
   would make a NaN of it. */
static void sum_exactly(const EbbCellTile *tile, const Work *work, const EbbCellLine *line) {
  const EbbCellSynapses *table = &tile->shared.cell->table[line->in.table];
  const EbbCellParam *param = tile->shared.cell->param;
  const int64_t R = tile->shared.plan->R, below = work->targets * work->stride;
  for (int64_t row = 0; row < 2 * work->targets; row++)
    for (int64_t r = 0; r < R; r++)
      work->to[row * work->stride + r] = work->add ? work->add[row * work->stride + r] : 0;
  for (int64_t j = 0; j < table->count; j++) {
    const float *arena = tile->shared.arena + (int64_t)table->source[j] * table->targets + table->target[j];
    for (int64_t r = 0; r < R; r++) {
      const float s = ebb_cell_synapse(work->from[table->source[j] * work->stride + r],
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
    work.from = ebb_cell_value(frame, line->in.from[0]) + step * R;
    work.add = adds ? ebb_cell_value(frame, line->in.from[1]) + step * R : NULL;
    work.to = ebb_cell_value(frame, line->in.to) + step * R;
    if (by_samples[R].begin(&work))
      ebb_cell_share(tile->team, &(EbbCellWork){by_samples[R].sum, &work, work.slots->slots,
                                                ebb_cell_slots_cost(work.slots)});
    else
      sum_exactly(tile, &work, line);
  }
}

static void backward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  const int64_t R = tile->shared.plan->R, n = line->in.to.width * frame->columns;
  Work work = work_of(tile, frame, line);
  float *g = ebb_cell_grad(frame, line->in.to), *from = ebb_cell_grad(frame, line->in.from[0]);
  float *add = line->in.operands > 1 ? ebb_cell_grad(frame, line->in.from[1]) : NULL;
  if (add) ebb_cell_add_to(add, g, n);
  work.dv = (EbbLanes *)(void *)tile->source_grad;
  work.sums = tile->sums + work.slots->sums;
  for (int64_t step = 0; step < frame->steps; step++) {
    work.from = ebb_cell_value(frame, line->in.from[0]) + step * R;
    work.from_grad = from ? from + step * R : NULL;
    work.to = g + step * R;
    ebb_cell_share(tile->team, &(EbbCellWork){by_samples[R].back, &work, work.slots->chunks,
                                              ebb_cell_slots_back_cost(work.slots)});
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

/* Sum j of target k of a slot. */
static double slot_sum(const EbbCellPlan *plan, const float *sums, int64_t k, int64_t j) {
  const bool fours = plan->slot_sums == EBB_LANES;
  const int64_t count = fours ? plan->R / 4 : plan->R, stride = fours ? 4 : 1;
  const float *from = sums + k * count * stride + j * (fours ? 1 : EBB_LANES);
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)from[i * stride];
  return sum;
}

typedef struct Flush {
  EbbCellTile *tile;
  const EbbCellSynapses *table;
  const EbbCellSlots *slots;
} Flush;

static void flush_slot(const Flush *f, int64_t slot, const float *sums) {
  const EbbCellPlan *plan = f->tile->shared.plan;
  const int32_t *synapse = ebb_cell_plan_list(plan, f->slots->synapse_at) + slot * plan->K;
  for (int64_t k = 0; k < plan->K; k++) {
    const int32_t j = synapse[k];
    if (j < 0) continue;
    double sum[4];
    for (int64_t part = 0; part < 4; part++) sum[part] = slot_sum(plan, sums, k, part);
    finish_synapse(f->tile, f->table, (int64_t)f->table->source[j] * f->table->targets + f->table->target[j],
                   sum);
  }
}

/* Of chunks of sources. */
static void flush_slots(const void *data, int64_t begin, int64_t end) {
  const Flush *f = data;
  const int64_t blocks = f->slots->blocks, size = f->tile->shared.plan->slot_sums;
  const int32_t *cut = ebb_cell_plan_list(f->tile->shared.plan, f->slots->cut_at);
  float *sums = f->tile->sums + f->slots->sums + sums_before(f->slots, cut, begin) * size;
  for (int64_t at = begin * blocks; at < end * blocks; at++)
    for (int64_t slot = cut[at]; slot < cut[at + blocks]; slot++, sums += size) {
      flush_slot(f, slot, sums);
      memset(sums, 0, sizeof(float) * (size_t)size);
    }
}

void ebb_cell_flush_synapses(EbbCellTile *tile) {
  enum { COST = 512 }; /* of a slot, in multiply-adds */
  for (int t = 0; t < tile->shared.cell->n_tables; t++) {
    const EbbCellSlots *slots = &tile->shared.plan->slots[t];
    const Flush flush = {tile, &tile->shared.cell->table[t], slots};
    if (slots->trained)
      ebb_cell_share(tile->team,
                     &(EbbCellWork){flush_slots, &flush, slots->chunks, COST * (int64_t)slots->slots});
  }
}

const EbbCellRunner ebb_cell_run_synapses = {forward, backward};
