#include "host/ops/cell_plan.h"

#include <stdlib.h>
#include <string.h>

#include "host/rows.h"

int64_t ebb_cell_samples(int64_t B) {
  int64_t R = 1;
  while (R < EBB_LANES && 2 * R < B) R *= 2;
  return R;
}

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
static int64_t row_of(int64_t floats) { return (floats + EBB_LANES - 1) / EBB_LANES * EBB_LANES; }

static EbbCellSection section_of(const EbbCell *cell, int instruction) {
  int s = EBB_CELL_SEQUENCE;
  while (s < EBB_CELL_TAIL && instruction >= cell->part[s].first + cell->part[s].count) s++;
  return (EbbCellSection)s;
}

static EbbCellFrameKind frame_of(const EbbCell *cell, int instruction) {
  return section_of(cell, instruction) == EBB_CELL_SEQUENCE ? EBB_CELL_CHUNK : EBB_CELL_ONE;
}

/* Whether the parameter that element `at` of the arena belongs to is trained. */
static bool is_trained(const EbbCell *cell, int32_t at) {
  for (int p = 0; p < cell->n_params; p++)
    if (at >= cell->param[p].at && at < cell->param[p].at + cell->param[p].size)
      return !cell->param[p].constant;
  return false;
}

/* ---- synapses ---- */

/* Calls `slot` for each source that targets first .. first + K - 1 listen to, in order, with the index of
   each target's synapse or -1; `next` (K) walks through the synapses. */
typedef struct BlockWalk {
  const EbbCellSynapses *table;
  int32_t next[EBB_LANES], end[EBB_LANES];
} BlockWalk;

static int32_t begin_target(const EbbCellSynapses *table, int32_t target) {
  int32_t low = 0, high = table->count;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (table->target[middle] < target)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void walk_block(BlockWalk *walk, const EbbCellSynapses *table, int32_t first, int32_t K) {
  walk->table = table;
  for (int32_t k = 0; k < K; k++)
    walk->next[k] = begin_target(table, first + k), walk->end[k] = begin_target(table, first + k + 1);
}

/* The next source and its synapses; false at the end. */
static bool walk_slot(BlockWalk *walk, int32_t K, int32_t *source, int32_t *synapse) {
  int32_t least = INT32_MAX;
  for (int32_t k = 0; k < K; k++)
    if (walk->next[k] < walk->end[k] && walk->table->source[walk->next[k]] < least)
      least = walk->table->source[walk->next[k]];
  if (least == INT32_MAX) return false;
  *source = least;
  for (int32_t k = 0; k < K; k++) {
    const bool here = walk->next[k] < walk->end[k] && walk->table->source[walk->next[k]] == least;
    synapse[k] = here ? walk->next[k]++ : -1;
  }
  return true;
}

static int32_t count_slots(const EbbCellSynapses *table, int32_t K) {
  int32_t slots = 0, source, synapse[EBB_LANES];
  for (int32_t first = 0; first < table->targets; first += K) {
    BlockWalk walk;
    walk_block(&walk, table, first, K);
    while (walk_slot(&walk, K, &source, synapse)) slots++;
  }
  return slots;
}

/* As many as backward has work for. */
static int32_t count_chunks(const EbbCellSynapses *table, const EbbCellSlots *slots) {
  enum { MOST = 16, SOURCES = 32 /* of a chunk, at least: targets are gone through for each */ };
  const int64_t pieces = ebb_cell_pieces(table->sources / SOURCES, ebb_cell_slots_back_cost(slots));
  return (int32_t)ebb_min64(pieces, MOST);
}

static void measure_slots(const EbbCell *cell, EbbCellPlan *plan) {
  const int32_t K = (int32_t)plan->K;
  for (int t = 0; t < cell->n_tables; t++) {
    const EbbCellSynapses *table = &cell->table[t];
    EbbCellSlots *s = &plan->slots[t];
    s->blocks = (table->targets + K - 1) / K, s->slots = count_slots(table, K);
    s->chunks = count_chunks(table, s);
    s->trained = !cell->param[table->w].constant || !cell->param[table->sigma].constant ||
                 !cell->param[table->mu].constant || !cell->param[table->erev].constant;
    s->cut_at = plan->bytes;
    s->below_at = s->cut_at + sizeof(int32_t) * (size_t)((s->chunks + 1) * s->blocks);
    s->source_at = s->below_at + sizeof(int32_t) * (size_t)(table->sources + 1);
    s->synapse_at = s->source_at + sizeof(int32_t) * (size_t)s->slots;
    plan->bytes = aligned(s->synapse_at + sizeof(int32_t) * (size_t)(s->slots * K));
    s->packed = plan->packed, plan->packed = row_of(plan->packed + 4 * (int64_t)s->slots * K);
    s->sums = plan->sums, plan->sums += (int64_t)s->slots * plan->slot_sums;
    if (table->sources > plan->sources) plan->sources = table->sources;
  }
}

/* Chunks of about as many slots each. */
static void fill_chunks(const EbbCellSynapses *table, const EbbCellSlots *s, const int32_t *source,
                        int32_t *below, int32_t *cut) {
  for (int32_t slot = 0; slot < s->slots; slot++) below[source[slot] + 1]++;
  for (int32_t i = 0; i < table->sources; i++) below[i + 1] += below[i];
  for (int32_t c = 1; c < s->chunks; c++) {
    const int64_t first = ebb_cell_chunk_source(s, below, table->sources, c);
    for (int32_t b = 0; b < s->blocks; b++) {
      int32_t slot = cut[(c - 1) * s->blocks + b];
      while (slot < cut[s->chunks * s->blocks + b] && source[slot] < first) slot++;
      cut[c * s->blocks + b] = slot;
    }
  }
}

static void fill_table(const EbbCellSynapses *table, EbbCellPlan *plan, const EbbCellSlots *s) {
  const int32_t K = (int32_t)plan->K;
  int32_t *cut = (int32_t *)(void *)((char *)plan + s->cut_at);
  int32_t *below = (int32_t *)(void *)((char *)plan + s->below_at);
  int32_t *source = (int32_t *)(void *)((char *)plan + s->source_at);
  int32_t *synapse = (int32_t *)(void *)((char *)plan + s->synapse_at);
  int32_t slot = 0;
  for (int32_t b = 0; b < s->blocks; b++) {
    BlockWalk walk;
    cut[b] = slot;
    walk_block(&walk, table, b * K, K);
    while (slot < s->slots && walk_slot(&walk, K, &source[slot], &synapse[slot * K])) slot++;
    cut[s->chunks * s->blocks + b] = slot;
  }
  fill_chunks(table, s, source, below, cut);
}

/* ---- lines ---- */

static int64_t widest(const EbbCellInstruction *in) { return in->to.width; }

static void spread_operand(const EbbCell *cell, EbbCellPlan *plan, EbbCellFrameKind frame, int32_t width,
                           EbbCellRef *ref, EbbCellSpread *spreads) {
  EbbCellSpread spread = {*ref, plan->spread[frame], 0, frame};
  if (ref->space == EBB_CELL_ELAPSED && width > plan->elapsed_width[frame])
    plan->elapsed_width[frame] = width;
  if (ref->space != EBB_CELL_PARAM && ref->space != EBB_CELL_CONSTANT) return;
  spread.from.width = width;
  spread.trained = ref->space == EBB_CELL_PARAM && is_trained(cell, ref->at);
  if (spreads) spreads[plan->n_spreads] = spread;
  ref->at = spread.to;
  plan->spread[frame] += (int32_t)row_of(width);
  plan->n_spreads++;
}

static int64_t columns_of(const EbbCellPlan *plan, EbbCellFrameKind frame) {
  return frame == EBB_CELL_CHUNK ? plan->columns : plan->R;
}

static void place_matrix(const EbbCell *cell, EbbCellPlan *plan, EbbCellFrameKind frame, EbbCellLine *line) {
  const EbbCellMatrix *m = &line->in.matrix;
  line->trained = is_trained(cell, m->at);
  if (m->outputs * m->inputs > plan->product) plan->product = m->outputs * m->inputs;
  line->history = plan->history;
  if (columns_of(plan, frame) == 1)
    line->packed = plan->packed, plan->packed += row_of((int64_t)m->outputs * m->inputs);
  if (frame == EBB_CELL_ONE) plan->history += (int64_t)(m->outputs + m->inputs) * EBB_CELL_HISTORY;
}

/* Goes through the program; `lines` and `spreads` NULL: only counts. */
static void lay_out(const EbbCell *cell, EbbCellPlan *plan, EbbCellLine *lines, EbbCellSpread *spreads) {
  plan->n_spreads = 0, plan->history = 0, plan->packed = 0;
  memset(plan->spread, 0, sizeof plan->spread);
  for (int i = 0; i < cell->n_instructions; i++) {
    EbbCellLine line = {.in = cell->instruction[i], .packed = -1};
    const EbbCellFrameKind frame = frame_of(cell, i);
    const EbbCellSection section = section_of(cell, i);
    for (int k = 0; k < line.in.operands; k++) {
      if (line.in.from[k].space == EBB_CELL_X && frame == EBB_CELL_ONE) plan->x_in_steps = true;
      const int64_t width = line.in.from[k].width ? line.in.from[k].width : widest(&line.in);
      spread_operand(cell, plan, frame, (int32_t)width, &line.in.from[k], spreads);
    }
    if (line.in.code == EBB_CELL_LINEAR) place_matrix(cell, plan, frame, &line);
    if (cell->rate.space == EBB_CELL_TEMP && line.in.to.space == EBB_CELL_TEMP &&
        cell->rate.at >= line.in.to.at && cell->rate.at < line.in.to.at + line.in.to.width)
      plan->rate_section = section;
    if (lines) lines[i] = line;
  }
}

static bool moves_x(const EbbCell *cell) {
  for (int s = 0; s < EBB_CELL_SECTIONS; s++)
    for (int m = 0; m < cell->part[s].moves; m++)
      if (cell->part[s].move[m].from.space == EBB_CELL_X) return true;
  return false;
}

/* Chunks of equal length, so that little of the last one is empty. */
static void split_steps(EbbCellPlan *plan, int64_t T) {
  const int64_t most = EBB_CELL_COLUMNS / plan->R, chunks = (T + most - 1) / most;
  plan->steps = (T + chunks - 1) / chunks;
  plan->columns = T == 1 ? plan->R : row_of(plan->steps * plan->R);
}

static void find_body(const EbbCell *cell, EbbCellPlan *plan) {
  enum { MOST_FLOATS = 1 << 20 }; /* of what is kept */
  const EbbCellPart *part = &cell->part[EBB_CELL_BODY];
  if (!part->count) return;
  const EbbCellRef first = cell->instruction[part->first].to;
  const EbbCellRef last = cell->instruction[part->first + part->count - 1].to;
  plan->body_at = first.at, plan->body_units = last.at + last.width - first.at;
  plan->keeps_body = (int64_t)cell->repeat * plan->body_units * plan->R <= MOST_FLOATS;
}

static int64_t pieces_of(const EbbCellPlan *plan, const EbbCellLine *line) {
  const EbbCellSlots *slots = &plan->slots[line->in.table];
  const EbbCellMatrix *m = &line->in.matrix;
  if (line->in.code == EBB_CELL_SYNAPSES) return ebb_cell_pieces(slots->blocks, ebb_cell_slots_cost(slots));
  if (line->in.code == EBB_CELL_LINEAR)
    return ebb_cell_pieces(ebb_cell_output_blocks(m->outputs),
                           ebb_cell_product_cost(m->outputs, m->inputs, plan->R));
  return 1;
}

static void find_pieces(const EbbCell *cell, EbbCellPlan *plan) {
  plan->pieces = 1;
  for (int i = 0; i < cell->n_instructions; i++)
    if (frame_of(cell, i) == EBB_CELL_ONE) {
      const int64_t pieces = pieces_of(plan, ebb_cell_lines(plan) + i);
      if (pieces > plan->pieces) plan->pieces = pieces;
    }
}

EbbStatus ebb_cell_plan_create(const EbbCell *cell, int64_t B, int64_t T, EbbCellPlan **out) {
  *out = NULL;
  EbbCellPlan plan = {
      .R = ebb_cell_samples(B), .x_in_steps = moves_x(cell), .rate_section = EBB_CELL_SECTIONS};
  plan.K = EBB_LANES / plan.R;
  plan.slot_sums = plan.R < 4 ? 4 * EBB_LANES : EBB_LANES;
  split_steps(&plan, T);
  find_body(cell, &plan);
  lay_out(cell, &plan, NULL, NULL);
  plan.lines_at = aligned(sizeof plan);
  plan.spreads_at = aligned(plan.lines_at + sizeof(EbbCellLine) * (size_t)cell->n_instructions);
  plan.bytes = aligned(plan.spreads_at + sizeof(EbbCellSpread) * (size_t)plan.n_spreads);
  measure_slots(cell, &plan);
  EbbCellPlan *block = calloc(1, plan.bytes);
  if (!block)
    return ebb_fail(EBB_MEMORY, "cell '%s': no memory for a plan of %zu bytes", cell->name, plan.bytes);
  *block = plan;
  lay_out(cell, block, (EbbCellLine *)(void *)((char *)block + plan.lines_at),
          (EbbCellSpread *)(void *)((char *)block + plan.spreads_at));
  block->packed = plan.packed;
  for (int t = 0; t < cell->n_tables; t++) fill_table(&cell->table[t], block, &block->slots[t]);
  find_pieces(cell, block);
  *out = block;
  return EBB_OK;
}
