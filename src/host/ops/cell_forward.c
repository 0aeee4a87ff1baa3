#include <math.h>
#include <omp.h>
#include <string.h>

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/ops/cell_pack.h"
#include "host/ops/cell_pass.h"
#include "host/rows.h"

static EbbStatus check_lengths(const EbbCellArgs *a) {
  for (int64_t b = 0; a->lengths && b < a->B; b++)
    if (a->lengths[b] < 0 || a->lengths[b] > a->T)
      return ebb_fault_fail(EBB_FAULT_CELL_LENGTH, (double)a->lengths[b], (double)b, (double)a->T, 0);
  return EBB_OK;
}

static EbbStatus check_elapsed(const EbbCellArgs *a) {
  for (int64_t b = 0; a->elapsed && b < a->B; b++)
    for (int64_t t = 0; t < (a->lengths ? a->lengths[b] : a->T); t++) {
      const float elapsed = a->elapsed[b * a->T + t];
      if (!(elapsed >= 0 && elapsed <= INFINITY) || isinf(elapsed))
        return ebb_fault_fail(EBB_FAULT_CELL_ELAPSED, (double)elapsed, (double)b, (double)t, 0);
    }
  return EBB_OK;
}

EbbStatus ebb_cell_check_values(const EbbCellArgs *a) {
  EBB_TRY(check_lengths(a));
  return check_elapsed(a);
}

static const float *output_of(const EbbCellTile *tile) {
  const EbbCellFrame *f = &tile->frame[EBB_CELL_ONE];
  const EbbCellRef output = tile->shared.cell->output;
  return output.space == EBB_CELL_STATE ? ebb_cell_tile_after(tile) + output.at * f->columns
                                        : ebb_cell_value(f, output);
}

static void store_lane(const EbbCellTile *tile, const EbbCellArgs *a, int64_t r, int64_t t) {
  const int64_t row = (tile->first + r) * a->T + t;
  const float *state = ebb_cell_tile_after(tile), *output = output_of(tile);
  for (int64_t s = 0; s < a->S; s++) a->states[row * a->S + s] = state[s * a->R + r];
  for (int64_t o = 0; o < a->O; o++) a->y[row * a->O + o] = output[o * a->R + r];
}

/* The state of an ended sequence stays. */
static void keep_lane(const EbbCellTile *tile, const EbbCellArgs *a, int64_t r, int64_t t) {
  const int64_t b = tile->first + r, row = b * a->T + t;
  const size_t bytes = sizeof(float) * (size_t)a->S;
  float *after = a->states + row * a->S;
  if (t > 0)
    memcpy(after, after - a->S, bytes);
  else if (a->state)
    memcpy(after, a->state + b * a->S, bytes);
  else
    memset(after, 0, bytes);
  memset(a->y + row * a->O, 0, sizeof(float) * (size_t)a->O);
}

static void store_step(const EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  for (int64_t r = 0; r < a->R && ebb_cell_lane_exists(tile, a, r); r++)
    (ebb_cell_lane_runs(tile, r, t) ? store_lane : keep_lane)(tile, a, r, t);
}

/* The largest rates, of the lanes that run. */
static void keep_rates(EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  for (int64_t r = 0; r < a->R; r++) {
    float *met = a->rates + tile->first + r;
    if (ebb_cell_lane_runs(tile, r, t) && tile->rate[r] > *met) *met = tile->rate[r];
    tile->rate[r] = 0;
  }
}

static void forward_step(EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  const int64_t steps = tile->shared.plan->steps;
  if (t % steps == 0) ebb_cell_pass_chunk(tile, a, t, ebb_min64(steps, tile->longest - t));
  ebb_cell_pass_step(tile, a, t, t % steps);
  ebb_cell_pass_states(tile, a, t);
  ebb_cell_run_step(tile);
  if (a->rates) keep_rates(tile, a, t);
  store_step(tile, a, t);
}

void ebb_cell_forward_tile(EbbCellTile *tile, const EbbCellArgs *a, int64_t index) {
  ebb_cell_pass_begin(tile, a, index);
  for (int64_t r = 0; a->rates && r < a->R && ebb_cell_lane_exists(tile, a, r); r++)
    a->rates[tile->first + r] = 0;
  for (int64_t t = 0; t < tile->longest; t++) forward_step(tile, a, t);
  for (int64_t t = tile->longest; t < a->T; t++) store_step(tile, a, t);
}

static EbbStatus check_rates(const EbbCellArgs *a) {
  for (int64_t b = 0; a->unstable_fails && a->rates && b < a->B; b++)
    if (a->rates[b] > a->cell->rate_limit)
      return ebb_fault_fail(EBB_FAULT_CELL_UNSTABLE, (double)b, (double)a->rates[b],
                            (double)a->cell->rate_limit, 0);
  return EBB_OK;
}

typedef struct Pass {
  const EbbCellArgs *a;
  EbbCellTile tile;
  bool started;
} Pass;

static void prepare(void *context, int64_t leader, EbbCellTeam *team) {
  const EbbCellArgs *a = ((const Pass *)context)->a;
  (void)leader;
  ebb_cell_fill_arena(a, team);
  ebb_cell_pack(a, a->plan, team);
}

static void forward_tile(void *context, int64_t index, EbbCellTeam *team) {
  Pass *pass = context;
  if (!pass->started) ebb_cell_tile_start(&pass->tile);
  pass->started = true, pass->tile.team = team;
  ebb_cell_forward_tile(&pass->tile, pass->a, index);
}

EbbStatus ebb_cell_forward(const void *args, const EbbRun *run) {
  const EbbCellArgs *a = args;
  EBB_TRY(ebb_cell_check_values(a));
  const EbbCellShared shared = {a->cell, a->plan, a->arena, a->pack, false};
  const EbbCellCrew crew = ebb_cell_crew(a, a->tiles, EBB_THREADS(run));
#pragma omp parallel num_threads(crew.threads)
  {
    Pass pass = {.a = a};
    ebb_cell_take_seats(&crew.packing, prepare, &pass);
    ebb_cell_tile_place(&pass.tile, &shared, a->work + (size_t)omp_get_thread_num() * a->work_bytes);
    ebb_cell_take_seats(&crew.tiles, forward_tile, &pass);
  }
  return check_rates(a);
}
