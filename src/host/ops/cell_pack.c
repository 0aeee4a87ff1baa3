#include "host/ops/cell_pack.h"

#include "ebb/cell_formulas.h"
#include "host/rows.h"

/* What a vector of sixteen floats costs, in multiply-adds of as many. */
enum { COPY_COST = 2, SOFTPLUS_COST = 40, MATRIX_COST = 40, SLOT_COST = 256 };

/* ---- map and mask ---- */

enum { PIECE = 4096 }; /* floats, in any case: elements at the end of a loop may be rounded otherwise */

typedef struct Filling {
  const EbbCellParam *param;
  const float *value;
  float *to;
} Filling;

static void fill_piece(const EbbCellParam *param, const float *value, float *restrict to, int64_t begin,
                       int64_t end) {
  const float *restrict from = param->constant ? param->values : value, *restrict mask = param->mask;
  if (param->map == EBB_CELL_SOFTPLUS_OF)
    for (int64_t i = begin; i < end; i++) to[i] = ebb_softplusf(from[i]);
  else
    for (int64_t i = begin; i < end; i++) to[i] = from[i];
  for (int64_t i = begin; mask && i < end; i++) to[i] *= mask[i];
}

static void fill(const void *data, int64_t begin, int64_t end) {
  const Filling *f = data;
  for (int64_t at = begin * PIECE; at < end * PIECE; at += PIECE)
    fill_piece(f->param, f->value, f->to, at, ebb_min64(at + PIECE, f->param->size));
}

void ebb_cell_fill_arena(const EbbCellArgs *a, EbbCellTeam *team) {
  for (int p = 0; p < a->cell->n_params; p++) {
    const EbbCellParam *param = &a->cell->param[p];
    const Filling filling = {param, a->value[p], a->arena + param->at};
    const int64_t cost = param->map == EBB_CELL_SOFTPLUS_OF ? SOFTPLUS_COST : COPY_COST;
    ebb_cell_share(team, &(EbbCellWork){.run = fill,
                                        .data = &filling,
                                        .n = (param->size + PIECE - 1) / PIECE,
                                        .cost = cost * param->size / EBB_LANES});
  }
}

/* ---- synapses and matrices ---- */

typedef struct Packing {
  const EbbCellArgs *a;
  const EbbCellPlan *plan;
  const EbbCellSynapses *table;
  const EbbCellSlots *slots;
  const EbbCellMatrix *matrix;
  float *to;
} Packing;

/* A synapse's numbers a, b, w, w erev with s = 1 / (1 + 2^(a v + b)); all zero where there is none. */
static void pack_slots(const void *data, int64_t begin, int64_t end) {
  const Packing *p = data;
  const EbbCellSynapses *table = p->table;
  const EbbCellParam *param = p->a->cell->param;
  const int32_t *synapse = ebb_cell_plan_list(p->plan, p->slots->synapse_at);
  const int64_t K = p->plan->K;
  const float *arena = p->a->arena, *w = arena + param[table->w].at, *sigma = arena + param[table->sigma].at;
  const float *mu = arena + param[table->mu].at, *erev = arena + param[table->erev].at;
  const float log2e = 1.44269504088896341f;
  for (int64_t slot = begin; slot < end; slot++) {
    float *to = p->to + slot * 4 * K;
    for (int64_t k = 0; k < K; k++) {
      const int32_t j = synapse[slot * K + k];
      if (j < 0) {
        to[k] = to[K + k] = to[2 * K + k] = to[3 * K + k] = 0;
        continue;
      }
      const int64_t at = (int64_t)table->source[j] * table->targets + table->target[j];
      to[k] = -log2e * sigma[at], to[K + k] = log2e * sigma[at] * mu[at];
      to[2 * K + k] = w[at], to[3 * K + k] = w[at] * erev[at];
    }
  }
}

/* A piece of a matrix, `lanes` rows of which come to stand beside each other: a line of the cache at a time.
 */
static void pack_lanes(const float *from, int64_t stride, int64_t step, int64_t lanes, int64_t length,
                       float *to) {
  enum { LINE = 16 };
  for (int64_t begin = 0; begin < length; begin += LINE)
    for (int64_t lane = 0; lane < lanes; lane++)
      for (int64_t i = begin; i < ebb_min64(begin + LINE, length); i++)
        to[i * lanes + lane] = from[lane * stride + i * step];
}

/* The product of one column runs over outputs that stand beside each other: those of W, or of its transpose.
 */
static EbbCellMatrix side_by_side(const EbbCellMatrix *m) {
  if (m->out_stride != 1) return *m;
  return (EbbCellMatrix){m->at, m->inputs, m->outputs, m->in_stride, m->out_stride};
}

static void pack_matrix(const void *data, int64_t begin, int64_t end) {
  const Packing *p = data;
  const EbbCellMatrix m = side_by_side(p->matrix);
  for (int64_t b = begin; b < end; b++) {
    const int64_t o = b * EBB_CELL_PACKED;
    pack_lanes(p->a->arena + m.at + o * m.out_stride, m.out_stride, m.in_stride,
               ebb_min64(EBB_CELL_PACKED, m.outputs - o), m.inputs, p->to + o * m.inputs);
  }
}

void ebb_cell_pack(const EbbCellArgs *a, const EbbCellPlan *plan, EbbCellTeam *team) {
  for (int t = 0; t < a->cell->n_tables; t++) {
    const EbbCellSlots *slots = &plan->slots[t];
    const Packing packing = {
        .a = a, .plan = plan, .table = &a->cell->table[t], .slots = slots, .to = a->pack + slots->packed};
    ebb_cell_share(team,
                   &(EbbCellWork){pack_slots, &packing, slots->slots, SLOT_COST * (int64_t)slots->slots});
  }
  const EbbCellLine *line = ebb_cell_lines(plan);
  for (int i = 0; i < a->cell->n_instructions; i++) {
    if (line[i].packed < 0) continue;
    const EbbCellMatrix *m = &line[i].in.matrix;
    const Packing packing = {.a = a, .plan = plan, .matrix = m, .to = a->pack + line[i].packed};
    ebb_cell_share(team,
                   &(EbbCellWork){.run = pack_matrix,
                                  .data = &packing,
                                  .n = ebb_cell_output_blocks(side_by_side(m).outputs),
                                  .cost = MATRIX_COST * ebb_cell_product_cost(m->outputs, m->inputs, 1)});
  }
}
