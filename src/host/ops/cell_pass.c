#include "host/ops/cell_pass.h"

#include <string.h>

#include "ebb/cell_formulas.h"
#include "host/ops/cell_columns.h"
#include "host/rows.h"

size_t ebb_cell_crew_bytes(int64_t threads) {
  return ebb_cell_teams_bytes(2) + ebb_cell_teams_bytes(threads);
}

/* Who works alone on the steps packs alone: what another core has packed must first come over. */
EbbCellCrew ebb_cell_crew(const EbbCellArgs *a, int64_t leaders, int threads) {
  enum { FEW = 1 << 16 }; /* floats of parameters, which one thread packs before the others are awake */
  EbbCellCrew crew = {
      .tiles = ebb_cell_seats(leaders, threads, a->plan->pieces, a->teams + ebb_cell_teams_bytes(2))};
  crew.threads = crew.tiles.count > 1 ? threads : 1;
  crew.packing = ebb_cell_seats(1, crew.threads, a->cell->arena > FEW ? EBB_CELL_PIECES : 1, a->teams);
  return crew;
}

void ebb_cell_pass_begin(EbbCellTile *tile, const EbbCellArgs *a, int64_t index) {
  tile->first = index * a->R, tile->donor = 0, tile->longest = 0;
  for (int64_t r = 0; r < a->R; r++) {
    const int64_t b = tile->first + r;
    tile->length[r] = b >= a->B ? 0 : a->lengths ? a->lengths[b] : (int32_t)a->T;
    if (tile->length[r] > tile->longest) tile->longest = tile->length[r], tile->donor = r;
  }
}

static float elapsed_of(const EbbCellArgs *a, int64_t b, int64_t t) {
  return a->elapsed ? a->elapsed[b * a->T + t] : 1;
}

/* Repeats a row of columns in all units that elapsed time stands for. */
static void spread_elapsed(const EbbCellTile *tile, EbbCellFrameKind kind, const float *row) {
  const EbbCellFrame *f = &tile->frame[kind];
  for (int64_t u = 0; u < tile->shared.plan->elapsed_width[kind]; u++)
    memcpy(f->value[EBB_CELL_ELAPSED] + u * f->columns, row, sizeof(float) * (size_t)f->columns);
}

void ebb_cell_pass_chunk(EbbCellTile *tile, const EbbCellArgs *a, int64_t t, int64_t steps) {
  EbbCellFrame *f = &tile->frame[EBB_CELL_CHUNK];
  float row[EBB_CELL_COLUMNS];
  for (int64_t c = 0; c < f->columns; c++) {
    const int64_t at = t + ebb_min64(c / a->R, steps - 1), b = ebb_cell_lane_sample(tile, c % a->R, at);
    const float *x = a->x + (b * a->T + at) * a->I;
    float *to = f->value[EBB_CELL_X] + c;
    for (int64_t i = 0; i < a->I; i++) to[i * f->columns] = x[i];
    row[c] = elapsed_of(a, b, at);
  }
  spread_elapsed(tile, EBB_CELL_CHUNK, row);
  f->steps = tile->shared.backward ? f->columns / a->R : steps;
  ebb_cell_run_section(tile, EBB_CELL_CHUNK, EBB_CELL_SEQUENCE);
}

static void take_columns(EbbCellTile *tile, EbbCellSpace space, int64_t units, int64_t in_chunk) {
  const EbbCellFrame *chunk = &tile->frame[EBB_CELL_CHUNK], *one = &tile->frame[EBB_CELL_ONE];
  const EbbCellColumns columns = {chunk->value[space] + in_chunk * one->columns, one->value[space], units,
                                  chunk->columns};
  ebb_cell_take_columns(&columns, one->columns);
}

void ebb_cell_pass_step(EbbCellTile *tile, const EbbCellArgs *a, int64_t t, int64_t in_chunk) {
  take_columns(tile, EBB_CELL_SEQ, tile->shared.cell->seqs, in_chunk);
  if (tile->shared.plan->x_in_steps) take_columns(tile, EBB_CELL_X, tile->shared.cell->inputs, in_chunk);
  for (int64_t r = 0; r < a->R; r++) tile->elapsed[r] = elapsed_of(a, ebb_cell_lane_sample(tile, r, t), t);
  spread_elapsed(tile, EBB_CELL_ONE, tile->elapsed);
}

void ebb_cell_pass_states(EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  for (int64_t r = 0; r < a->R; r++) {
    const int64_t b = ebb_cell_lane_sample(tile, r, t);
    const float *from = t > 0 ? a->states + (b * a->T + t - 1) * a->S : a->state ? a->state + b * a->S : NULL;
    for (int64_t s = 0; s < a->S; s++) tile->states[s * a->R + r] = from ? from[s] : 0;
  }
}
