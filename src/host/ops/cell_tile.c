#include "host/ops/cell_tile.h"

#include <string.h>

#include "host/parts.h"

/* Gradients of parameters are added in floats over this many sub-steps at most. */
enum { FLUSH_AFTER = 256 };

static const EbbCellRunner *const motions[EBB_CELL_CODES] = {
#define EBB_CELL_FORMULA(CODE, name, operands)
#define EBB_CELL_MOTION(CODE, name) [EBB_CELL_##CODE] = &ebb_cell_run_##name,
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
};

static const EbbCellRunner *runner_of(EbbCellCode code) {
  return motions[code] ? motions[code] : &ebb_cell_formulas[code];
}

/* ---- memory ---- */

/* Bytes of `units` rows, and of a vector of lanes that loops may read or write beyond them. */
static size_t rows(int64_t units, int64_t columns) {
  return sizeof(float) * (size_t)(ebb_cell_whole(units) * columns + EBB_LANES);
}

static int64_t states_kept(const EbbCellShared *shared) {
  return shared->backward ? shared->cell->repeat + 3 : 2;
}

static int64_t state_floats(const EbbCellTile *tile) {
  return ebb_cell_whole(tile->shared.cell->states) * tile->shared.plan->R;
}

static int64_t body_floats(const EbbCellPlan *plan) { return plan->body_units * plan->R; }

static size_t place_frame(EbbCellTile *tile, EbbCellFrameKind kind, char *base) {
  const EbbCell *cell = tile->shared.cell;
  const EbbCellPlan *plan = tile->shared.plan;
  EbbCellFrame *f = &tile->frame[kind];
  f->columns = kind == EBB_CELL_CHUNK ? plan->columns : plan->R;
  f->steps = f->columns / plan->R;
  const size_t x = rows(cell->inputs, f->columns), seq = rows(cell->seqs, f->columns);
  const size_t temp = kind == EBB_CELL_ONE ? rows(cell->temps, f->columns) : 0;
  const size_t spread = rows(plan->spread[kind], f->columns);
  const size_t elapsed = rows(plan->elapsed_width[kind], f->columns);
  const size_t back = tile->shared.backward;
  const EbbPart parts[] = {{&f->value[EBB_CELL_X], x},
                           {&f->value[EBB_CELL_SEQ], seq},
                           {&f->value[EBB_CELL_TEMP], temp},
                           {&f->value[EBB_CELL_PARAM], spread},
                           {&f->value[EBB_CELL_ELAPSED], elapsed},
                           {&f->grad[EBB_CELL_X], back * x},
                           {&f->grad[EBB_CELL_SEQ], back * seq},
                           {&f->grad[EBB_CELL_TEMP], back * temp},
                           {&f->grad[EBB_CELL_PARAM], back * spread},
                           {&f->grad[EBB_CELL_ELAPSED], back * elapsed}};
  const size_t bytes = ebb_place_parts(base, parts, sizeof parts / sizeof *parts);
  f->value[EBB_CELL_CONSTANT] = f->value[EBB_CELL_PARAM];
  return bytes;
}

size_t ebb_cell_tile_place(EbbCellTile *tile, const EbbCellShared *shared, char *base) {
  *tile = (EbbCellTile){.shared = *shared};
  const EbbCellPlan *plan = shared->plan;
  const size_t state = sizeof(float) * (size_t)state_floats(tile) + sizeof(EbbLanes), back = shared->backward;
  const size_t body =
      sizeof(float) * (plan->keeps_body ? (size_t)(shared->cell->repeat * body_floats(plan)) : 0);
  size_t bytes = place_frame(tile, EBB_CELL_CHUNK, base);
  bytes += place_frame(tile, EBB_CELL_ONE, base ? base + bytes : NULL);
  const EbbPart parts[] = {
      {&tile->states, state * (size_t)states_kept(shared)},
      {&tile->body, back * body},
      {&tile->state_grad, back * state},
      {&tile->through, back * state},
      {&tile->source, sizeof(EbbLanes) * (size_t)plan->sources},
      {&tile->source_grad, back * sizeof(EbbLanes) * (size_t)plan->sources},
      {&tile->sums, back * sizeof(float) * (size_t)plan->sums},
      {&tile->history, back * sizeof(float) * (size_t)plan->history},
      {&tile->product, back * sizeof(float) * (size_t)plan->product},
      {&tile->in_history, back * sizeof(int32_t) * (size_t)shared->cell->n_instructions}};
  return bytes + ebb_place_parts(base ? base + bytes : NULL, parts, sizeof parts / sizeof *parts);
}

static void clear(float *memory, int64_t floats) {
  if (memory) memset(memory, 0, sizeof(float) * (size_t)floats);
}

static void spread_values(EbbCellTile *tile) {
  const EbbCellSpread *spread = ebb_cell_spreads(tile->shared.plan);
  for (int i = 0; i < tile->shared.plan->n_spreads; i++) {
    const EbbCellFrame *f = &tile->frame[spread[i].frame];
    float *to = f->value[EBB_CELL_PARAM] + spread[i].to * f->columns;
    for (int64_t u = 0; u < spread[i].from.width; u++)
      for (int64_t c = 0; c < f->columns; c++)
        to[u * f->columns + c] = spread[i].from.space == EBB_CELL_CONSTANT
                                     ? spread[i].from.value
                                     : tile->shared.arena[spread[i].from.at + u];
  }
}

static void clear_gradients(EbbCellTile *tile) {
  const EbbCell *cell = tile->shared.cell;
  const EbbCellPlan *plan = tile->shared.plan;
  for (int k = 0; k < EBB_CELL_FRAMES; k++) {
    EbbCellFrame *f = &tile->frame[k];
    clear(f->grad[EBB_CELL_X], ebb_cell_whole(cell->inputs) * f->columns);
    clear(f->grad[EBB_CELL_SEQ], ebb_cell_whole(cell->seqs) * f->columns);
    clear(f->grad[EBB_CELL_TEMP], k == EBB_CELL_ONE ? ebb_cell_whole(cell->temps) * f->columns : 0);
    clear(f->grad[EBB_CELL_PARAM], ebb_cell_whole(plan->spread[k]) * f->columns);
    clear(f->grad[EBB_CELL_ELAPSED], ebb_cell_whole(plan->elapsed_width[k]) * f->columns);
  }
  clear(tile->state_grad, state_floats(tile));
  clear(tile->sums, plan->sums);
  if (tile->in_history) memset(tile->in_history, 0, sizeof(int32_t) * (size_t)cell->n_instructions);
  tile->unflushed = 0;
}

void ebb_cell_tile_start(EbbCellTile *tile) {
  spread_values(tile);
  memset(tile->rate, 0, sizeof tile->rate);
  if (!tile->shared.backward) return;
  clear_gradients(tile);
  for (int k = 0; k < EBB_CELL_FRAMES; k++) tile->frame[k].grad[EBB_CELL_STATE] = tile->state_grad;
}

static void flush_spread(EbbCellTile *tile, const EbbCellSpread *spread) {
  const EbbCellFrame *f = &tile->frame[spread->frame];
  float *from = f->grad[EBB_CELL_PARAM] + spread->to * f->columns;
  for (int64_t u = 0; spread->trained && u < spread->from.width; u++) {
    double sum = 0;
    for (int64_t c = 0; c < f->columns; c++) sum += (double)from[u * f->columns + c];
    tile->partial[spread->from.at + u] += sum;
  }
  clear(from, spread->from.width * f->columns);
}

void ebb_cell_tile_flush(EbbCellTile *tile) {
  tile->unflushed = 0;
  if (!tile->partial) return;
  const EbbCellSpread *spread = ebb_cell_spreads(tile->shared.plan);
  for (int i = 0; i < tile->shared.plan->n_spreads; i++) flush_spread(tile, &spread[i]);
  ebb_cell_flush_linear(tile);
  ebb_cell_flush_synapses(tile);
}

/* ---- sections ---- */

void ebb_cell_run_section(EbbCellTile *tile, EbbCellFrameKind kind, EbbCellSection section) {
  const EbbCellPart *part = &tile->shared.cell->part[section];
  const EbbCellLine *line = ebb_cell_lines(tile->shared.plan) + part->first;
  for (int i = 0; i < part->count; i++)
    runner_of(line[i].in.code)->forward(tile, &tile->frame[kind], &line[i]);
}

void ebb_cell_back_section(EbbCellTile *tile, EbbCellFrameKind kind, EbbCellSection section) {
  const EbbCellPart *part = &tile->shared.cell->part[section];
  const EbbCellLine *line = ebb_cell_lines(tile->shared.plan) + part->first;
  for (int i = part->count - 1; i >= 0; i--)
    runner_of(line[i].in.code)->backward(tile, &tile->frame[kind], &line[i]);
}

/* The states after `done` sections and repetitions of a step: all stay in a backward pass, two otherwise. */
static float *states_after(const EbbCellTile *tile, int64_t done) {
  return tile->states + (tile->shared.backward ? done : done & 1) * state_floats(tile);
}

float *ebb_cell_tile_after(const EbbCellTile *tile) {
  return states_after(tile, tile->shared.cell->repeat + 2);
}

static void move_states(EbbCellTile *tile, EbbCellSection section, int64_t done) {
  const EbbCellPart *part = &tile->shared.cell->part[section];
  const EbbCellFrame *f = &tile->frame[EBB_CELL_ONE];
  float *to = states_after(tile, done + 1);
  memcpy(to, states_after(tile, done), sizeof(float) * (size_t)state_floats(tile));
  for (int m = 0; m < part->moves; m++)
    memcpy(to + part->move[m].state.at * f->columns, ebb_cell_value(f, part->move[m].from),
           sizeof(float) * (size_t)(part->move[m].state.width * f->columns));
}

/* The largest; a NaN, which is no rate, comes out of the states as well. */
static void note_rates(EbbCellTile *tile, EbbCellSection section) {
  const EbbCell *cell = tile->shared.cell;
  if (tile->shared.plan->rate_section != section) return;
  const int64_t R = tile->shared.plan->R;
  const float *rate = ebb_cell_value(&tile->frame[EBB_CELL_ONE], cell->rate);
  for (int64_t r = 0; r < R; r++) {
    const float step = tile->elapsed[r] * (cell->rate_step > 0 ? cell->rate_step : 1 / (float)cell->repeat);
    for (int64_t u = 0; u < cell->rate.width; u++) {
      const float product = rate[u * R + r] * step;
      if (product > tile->rate[r]) tile->rate[r] = product;
    }
  }
}

static void run_part(EbbCellTile *tile, EbbCellSection section, int64_t done) {
  tile->frame[EBB_CELL_ONE].value[EBB_CELL_STATE] = states_after(tile, done);
  ebb_cell_run_section(tile, EBB_CELL_ONE, section);
  note_rates(tile, section);
  move_states(tile, section, done);
}

/* The results of BODY in the frame, and where they are kept of repetition k. */
static float *body_now(const EbbCellTile *tile) {
  return tile->frame[EBB_CELL_ONE].value[EBB_CELL_TEMP] + tile->shared.plan->body_at * tile->shared.plan->R;
}
static float *body_kept(const EbbCellTile *tile, int64_t k) {
  return tile->body + k * body_floats(tile->shared.plan);
}
static size_t body_bytes(const EbbCellTile *tile) {
  return sizeof(float) * (size_t)body_floats(tile->shared.plan);
}

void ebb_cell_run_step(EbbCellTile *tile) {
  const int64_t repeat = tile->shared.cell->repeat;
  const bool keeps = tile->shared.backward && tile->shared.plan->keeps_body;
  run_part(tile, EBB_CELL_STEP, 0);
  for (int64_t k = 0; k < repeat; k++) {
    run_part(tile, EBB_CELL_BODY, 1 + k);
    if (keeps && k < repeat - 1) memcpy(body_kept(tile, k), body_now(tile), body_bytes(tile));
  }
  run_part(tile, EBB_CELL_TAIL, 1 + repeat);
}

static void back_part(EbbCellTile *tile, EbbCellSection section, int64_t done) {
  const EbbCellPart *part = &tile->shared.cell->part[section];
  EbbCellFrame *f = &tile->frame[EBB_CELL_ONE];
  f->value[EBB_CELL_STATE] = states_after(tile, done);
  for (int m = part->moves - 1; m >= 0; m--) {
    const int64_t n = part->move[m].state.width * f->columns;
    float *state = ebb_cell_grad(f, part->move[m].state), *from = ebb_cell_grad(f, part->move[m].from);
    if (from) ebb_cell_add_to(from, state, n);
    clear(state, n);
  }
  ebb_cell_back_section(tile, EBB_CELL_ONE, section);
}

/* Results of repetition k of BODY back into the frame. */
static void restore_body(EbbCellTile *tile, int64_t k) {
  tile->frame[EBB_CELL_ONE].value[EBB_CELL_STATE] = states_after(tile, 1 + k);
  if (tile->shared.plan->keeps_body)
    memcpy(body_now(tile), body_kept(tile, k), body_bytes(tile));
  else
    ebb_cell_run_section(tile, EBB_CELL_ONE, EBB_CELL_BODY);
}

void ebb_cell_back_step(EbbCellTile *tile) {
  const int64_t repeat = tile->shared.cell->repeat;
  back_part(tile, EBB_CELL_TAIL, 1 + repeat);
  for (int64_t k = repeat - 1; k >= 0; k--) {
    if (k < repeat - 1) restore_body(tile, k);
    back_part(tile, EBB_CELL_BODY, 1 + k);
  }
  back_part(tile, EBB_CELL_STEP, 0);
  tile->unflushed += repeat + 1;
  if (tile->unflushed >= FLUSH_AFTER) ebb_cell_tile_flush(tile);
}
