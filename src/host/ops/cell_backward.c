#include <omp.h>
#include <string.h>

#include "ebb/cell_formulas.h"
#include "host/cpu.h"
#include "host/ops/cell_columns.h"
#include "host/ops/cell_pack.h"
#include "host/ops/cell_pass.h"
#include "host/rows.h"

/* ---- gradients that enter a step ---- */

/* Adds row (b, t) of `from` (B, T, width) to a lane of `to`. */
static void add_lane(const EbbCellArgs *a, float *to, const float *from, int64_t width, int64_t row,
                     int64_t r) {
  for (int64_t i = 0; i < width; i++) to[i * a->R + r] += from[row * width + i];
}

static float *output_grad(const EbbCellTile *tile) {
  return ebb_cell_grad(&tile->frame[EBB_CELL_ONE], tile->shared.cell->output);
}

static void enter_state_gradients(EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  for (int64_t r = 0; a->dstates && r < a->R && ebb_cell_lane_exists(tile, a, r); r++)
    add_lane(a, tile->state_grad, a->dstates, a->S, (tile->first + r) * a->T + t, r);
}

static void enter_output_gradients(EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  for (int64_t r = 0; a->dy && r < a->R; r++)
    if (ebb_cell_lane_runs(tile, r, t))
      add_lane(a, output_grad(tile), a->dy, a->O, (tile->first + r) * a->T + t, r);
}

/* Takes the gradients of lanes that do not run out of the step's way, and puts them back. */
static void hold_lanes(EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  for (int64_t r = 0; r < a->R; r++)
    for (int64_t s = 0; !ebb_cell_lane_runs(tile, r, t) && s < a->S; s++) {
      tile->through[s * a->R + r] = tile->state_grad[s * a->R + r];
      tile->state_grad[s * a->R + r] = 0;
    }
}
static void release_lanes(EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  for (int64_t r = 0; r < a->R; r++)
    for (int64_t s = 0; !ebb_cell_lane_runs(tile, r, t) && s < a->S; s++)
      tile->state_grad[s * a->R + r] = tile->through[s * a->R + r];
}

/* ---- gradients that leave it ---- */

/* Moves gradients of a step's columns to those of its chunk. */
static void give_columns(EbbCellTile *tile, EbbCellSpace space, int64_t units, int64_t in_chunk) {
  const EbbCellFrame *chunk = &tile->frame[EBB_CELL_CHUNK], *one = &tile->frame[EBB_CELL_ONE];
  if (!chunk->grad[space]) return;
  const EbbCellColumns columns = {chunk->grad[space] + in_chunk * one->columns, one->grad[space], units,
                                  chunk->columns};
  ebb_cell_give_columns(&columns, one->columns);
}

/* Adds the gradient of elapsed time of a frame's columns, over all units, to `to` and clears it. */
static void take_elapsed(const EbbCellTile *tile, EbbCellFrameKind kind, float *to) {
  const EbbCellFrame *f = &tile->frame[kind];
  float *grad = f->grad[EBB_CELL_ELAPSED];
  const int64_t width = tile->shared.plan->elapsed_width[kind];
  for (int64_t u = 0; grad && u < width; u++) ebb_cell_add_to(to, grad + u * f->columns, f->columns);
  if (grad) memset(grad, 0, sizeof(float) * (size_t)(width * f->columns));
}

EBB_INLINE void put(float *to, float value, bool add) { *to = add ? *to + value : value; }

/* Input gradients of a chunk; those of elapsed time come in a row. */
static void leave_chunk(EbbCellTile *tile, const EbbCellArgs *a, int64_t t, int64_t steps,
                        const float *elapsed) {
  const EbbCellFrame *f = &tile->frame[EBB_CELL_CHUNK];
  for (int64_t c = 0; c < steps * a->R; c++) {
    const int64_t at = t + c / a->R, r = c % a->R, row = (tile->first + r) * a->T + at;
    if (!ebb_cell_lane_runs(tile, r, at)) continue;
    for (int64_t i = 0; a->dx && i < a->I; i++)
      put(&a->dx[row * a->I + i], f->grad[EBB_CELL_X][i * f->columns + c], a->add_dx);
    if (a->delapsed) put(&a->delapsed[row], elapsed[c], a->add_delapsed);
  }
  if (a->dx) memset(f->grad[EBB_CELL_X], 0, sizeof(float) * (size_t)(ebb_cell_whole(a->I) * f->columns));
}

/* Steps behind a sequence's end have no gradient. */
static void leave_ended(const EbbCellTile *tile, const EbbCellArgs *a) {
  for (int64_t r = 0; r < a->R && ebb_cell_lane_exists(tile, a, r); r++) {
    const int64_t row = (tile->first + r) * a->T + tile->length[r], rest = a->T - tile->length[r];
    if (a->dx && !a->add_dx) memset(a->dx + row * a->I, 0, sizeof(float) * (size_t)(rest * a->I));
    if (a->delapsed && !a->add_delapsed) memset(a->delapsed + row, 0, sizeof(float) * (size_t)rest);
  }
}

static void leave_states(const EbbCellTile *tile, const EbbCellArgs *a) {
  for (int64_t r = 0; a->dstate && r < a->R && ebb_cell_lane_exists(tile, a, r); r++)
    for (int64_t s = 0; s < a->S; s++)
      put(&a->dstate[(tile->first + r) * a->S + s], tile->state_grad[s * a->R + r], a->add_dstate);
}

/* ---- time ---- */

/* Where backward is cut, the state before step t counts as given. */
static void forget_state(EbbCellTile *tile, const EbbCellArgs *a, int64_t t) {
  if (ebb_cell_is_cut(a, t)) memset(tile->state_grad, 0, sizeof(float) * (size_t)(a->S * a->R));
}

static void back_through_step(EbbCellTile *tile, const EbbCellArgs *a, int64_t t, int64_t in_chunk,
                              float *elapsed) {
  ebb_cell_pass_step(tile, a, t, in_chunk);
  ebb_cell_pass_states(tile, a, t);
  ebb_cell_run_step(tile);
  enter_state_gradients(tile, a, t);
  hold_lanes(tile, a, t);
  enter_output_gradients(tile, a, t);
  ebb_cell_back_step(tile);
  release_lanes(tile, a, t);
  forget_state(tile, a, t);
  give_columns(tile, EBB_CELL_SEQ, tile->shared.cell->seqs, in_chunk);
  if (tile->shared.plan->x_in_steps) give_columns(tile, EBB_CELL_X, tile->shared.cell->inputs, in_chunk);
  take_elapsed(tile, EBB_CELL_ONE, elapsed + in_chunk * a->R);
}

static void back_through_chunk(EbbCellTile *tile, const EbbCellArgs *a, int64_t t, int64_t steps) {
  float elapsed[EBB_CELL_COLUMNS] = {0};
  ebb_cell_pass_chunk(tile, a, t, steps);
  for (int64_t i = steps - 1; i >= 0; i--) back_through_step(tile, a, t + i, i, elapsed);
  ebb_cell_back_section(tile, EBB_CELL_CHUNK, EBB_CELL_SEQUENCE);
  take_elapsed(tile, EBB_CELL_CHUNK, elapsed);
  leave_chunk(tile, a, t, steps, elapsed);
}

static void want_gradients(EbbCellTile *tile, const EbbCellArgs *a) {
  for (int k = 0; k < EBB_CELL_FRAMES; k++) {
    float **grad = tile->frame[k].grad;
    if (!a->dx) grad[EBB_CELL_X] = NULL;
    if (!a->delapsed) grad[EBB_CELL_ELAPSED] = NULL;
    if (!tile->partial) grad[EBB_CELL_PARAM] = NULL;
  }
}

static void back_through_tile(EbbCellTile *tile, const EbbCellArgs *a, int64_t index) {
  const int64_t steps = tile->shared.plan->steps;
  ebb_cell_pass_begin(tile, a, index);
  ebb_cell_tile_start(tile);
  for (int64_t t = a->T - 1; t >= tile->longest; t--) {
    enter_state_gradients(tile, a, t);
    forget_state(tile, a, t);
  }
  for (int64_t chunk = (tile->longest + steps - 1) / steps - 1; chunk >= 0; chunk--)
    back_through_chunk(tile, a, chunk * steps, ebb_min64(steps, tile->longest - chunk * steps));
  ebb_cell_tile_flush(tile);
  leave_ended(tile, a);
  leave_states(tile, a);
}

/* ---- parameters ---- */

enum { PIECE = 1024 };

/* From the gradient of what the program read to that of the parameter. */
static void finish_piece(const EbbCellArgs *a, int p, int64_t begin, int64_t end) {
  const EbbCellParam *param = &a->cell->param[p];
  const int64_t n = end - begin;
  const float *restrict value = a->value[p] + begin, *restrict mask = param->mask;
  double sum[PIECE] = {0};
  for (int64_t g = 0; g < a->groups; g++) {
    const double *restrict partial = a->partial + g * a->cell->arena + param->at + begin;
    for (int64_t i = 0; i < n; i++) sum[i] += partial[i];
  }
  if (param->map == EBB_CELL_SOFTPLUS_OF)
    for (int64_t i = 0; i < n; i++) sum[i] *= (double)ebb_sigmoidf(value[i]);
  for (int64_t i = 0; mask && i < n; i++) sum[i] *= (double)mask[begin + i];
  for (int64_t i = 0; i < n; i++) a->grad[p][begin + i] += (float)sum[i];
}

/* By all threads of a parallel region. */
static void finish_params(const EbbCellArgs *a) {
  for (int p = 0; p < a->cell->n_params; p++)
    if (a->grad[p]) {
      const int64_t size = a->cell->param[p].size;
#pragma omp for nowait
      for (int64_t begin = 0; begin < size; begin += PIECE)
        finish_piece(a, p, begin, ebb_min64(begin + PIECE, size));
    }
}

static bool trains(const EbbCellArgs *a) {
  for (int p = 0; p < a->cell->n_params; p++)
    if (a->grad[p]) return true;
  return false;
}

/* ---- threads ---- */

typedef struct Pass {
  const EbbCellArgs *a;
  EbbCellTile tile;
  bool trained;
} Pass;

static void prepare(void *context, int64_t leader, EbbCellTeam *team) {
  const Pass *pass = context;
  (void)leader;
  ebb_cell_pack(pass->a, pass->a->plan, team);
}

/* The tiles of a group run in order and add to one set of gradients. */
static void back_through_group(void *context, int64_t group, EbbCellTeam *team) {
  Pass *pass = context;
  EbbCellTile *tile = &pass->tile;
  const EbbCellArgs *a = pass->a;
  tile->team = team;
  tile->partial = pass->trained ? a->partial + group * a->cell->arena : NULL;
  if (pass->trained) memset(tile->partial, 0, sizeof(double) * (size_t)a->cell->arena);
  want_gradients(tile, a);
  for (int64_t i = a->tiles * group / a->groups; i < a->tiles * (group + 1) / a->groups; i++)
    back_through_tile(tile, a, i);
}

EbbStatus ebb_cell_backward(const void *args, const EbbRun *run) {
  const EbbCellArgs *a = args;
  const bool trained = trains(a);
  const EbbCellShared shared = {a->cell, a->plan, a->arena, a->pack, true};
  const EbbCellCrew crew = ebb_cell_crew(a, a->groups, EBB_THREADS(run));
#pragma omp parallel num_threads(crew.threads)
  {
    Pass pass = {.a = a, .trained = trained};
    ebb_cell_take_seats(&crew.packing, prepare, &pass);
    ebb_cell_tile_place(&pass.tile, &shared, a->work + (size_t)omp_get_thread_num() * a->work_bytes);
    ebb_cell_take_seats(&crew.tiles, back_through_group, &pass);
    finish_params(a);
  }
  return EBB_OK;
}
