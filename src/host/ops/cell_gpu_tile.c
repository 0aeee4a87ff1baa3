/* Tiles of samples: what they need of shared memory, and when they are the better way. */
#include <string.h>

#include "host/ops/cell_gpu.h"

enum { BLOCK = 16, WARP = 32 };

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- of the program ---- */

static int32_t blocks_of(const EbbCellMatrix *matrix) {
  return (int32_t)(quotient(matrix->outputs, BLOCK) * quotient(matrix->inputs, BLOCK));
}

/* Matrices that several LINEAR share stand once. */
static void place_matrix(EbbCellList *list, EbbCellTiling *tiling, EbbCellOp *op) {
  for (EbbCellOp *same = list->op; same < list->op + list->n_ops; same++)
    if ((same->flags & EBB_CELL_FILLS) && memcmp(&same->matrix, &op->matrix, sizeof op->matrix) == 0) {
      op->block = same->block;
      return;
    }
  op->block = tiling->blocks;
  op->flags |= EBB_CELL_FILLS;
  tiling->blocks += blocks_of(&op->matrix);
}

/* Threads for the widest op and a warp for each 16 rows of a product, forward and backward. */
static int32_t threads_for(const EbbCellList *list) {
  int64_t most = 4 * WARP;
  for (const EbbCellOp *op = list->op; op < list->op + list->n_ops; op++) {
    most = larger(most, (int64_t)op->width * EBB_CELL_TILE);
    if (op->code == EBB_CELL_LINEAR)
      most = larger(most, WARP * quotient(larger(op->matrix.outputs, op->matrix.inputs), BLOCK));
  }
  most = quotient(most, WARP) * WARP;
  return most < EBB_CELL_THREADS ? (int32_t)most : EBB_CELL_THREADS;
}

static void count(EbbCellTiling *tiling, const EbbCellOp *op, int64_t times) {
  tiling->synapses |= op->code == EBB_CELL_SYNAPSES;
  tiling->passes += times * quotient(op->width, EBB_CELL_THREADS);
  tiling->tile_passes += times * quotient((int64_t)op->width * EBB_CELL_TILE, tiling->threads);
  if (op->code != EBB_CELL_LINEAR) return;
  tiling->products += times;
  tiling->step_blocks += times * blocks_of(&op->matrix);
}

/* Those of BODY stand first: shared memory may not hold all. */
void ebb_cell_find_tiling(EbbCellWriter *writer) {
  static const EbbCellSection order[] = {EBB_CELL_BODY, EBB_CELL_STEP, EBB_CELL_TAIL};
  EbbCellTiling *tiling = &writer->cuda->tiling;
  EbbCellList *list = &writer->steps;
  if (writer->status != EBB_OK) return;
  *tiling = (EbbCellTiling){.threads = threads_for(list)};
  for (size_t s = 0; s < sizeof order / sizeof *order; s++) {
    const EbbCellRun *run = &writer->cuda->section[order[s]];
    const int64_t times = order[s] == EBB_CELL_BODY ? writer->cell->repeat : 1;
    tiling->states += run->count ? times : 0;
    for (EbbCellOp *op = list->op + run->first; op < list->op + run->first + run->count; op++) {
      if (op->code == EBB_CELL_LINEAR) place_matrix(list, tiling, op);
      count(tiling, op, times);
    }
  }
}

/* ---- of a launch ---- */

static int32_t take(EbbCellTilePlaces *at, int64_t floats) {
  const int64_t place = at->floats;
  at->floats += (floats + 3) / 4 * 4;
  return (int32_t)place;
}

/* Operations and weights take what the rest leaves. */
EbbCellTilePlaces ebb_cell_tile_places(const EbbCellArgs *args, const EbbCellGpu *gpu, bool back) {
  const EbbCellProgram *steps = &args->cuda.steps;
  const EbbCellTiling *tiling = &args->cuda.tiling;
  const int64_t block = BLOCK * BLOCK / (gpu->precision == EBB_PRECISION_BF16 ? 2 : 1);
  const int64_t ops = steps->n_ops * (int64_t)(sizeof(EbbCellOp) / sizeof(float));
  EbbCellTilePlaces at = {.ops = -1};
  at.vectors = take(&at, (int64_t)EBB_CELL_TILE * steps->vectors);
  at.scratch = take(&at, (int64_t)tiling->threads / WARP * BLOCK * EBB_CELL_TILE);
  if (back) {
    at.gradients = take(&at, (int64_t)EBB_CELL_TILE * steps->vectors);
    at.kept = take(&at, EBB_CELL_TILE * tiling->states * args->S);
    at.sums = take(&at, (int64_t)EBB_CELL_TILE * steps->sums);
  }
  if (ops <= gpu->shared / 8 && at.floats + ops <= gpu->shared) at.ops = take(&at, ops);
  const int64_t room = larger(0, gpu->shared - at.floats) / block;
  at.resident = tiling->blocks < room ? tiling->blocks : (int32_t)room;
  at.weights = take(&at, block * at.resident);
  return at;
}

/* Clocks of a multiprocessor for a step, counted and not measured. A block of weights: its loads from shared
   memory or its instructions, whichever take longer; from L2, at 64 bytes a clock, so much more. A pass over
   elements: the instructions of 512 threads. A product of tiles: its two barriers. */
static int64_t tile_clocks(const EbbCellTiling *tiling, EbbPrecision precision, int32_t resident) {
  static const struct {
    int64_t block, from_l2;
  } cost[] = {
      [EBB_PRECISION_FLOAT32] = {16, 8}, [EBB_PRECISION_TF32] = {12, 12}, [EBB_PRECISION_BF16] = {8, 6}};
  const int64_t away = tiling->step_blocks * (tiling->blocks - resident) / larger(1, tiling->blocks);
  return tiling->step_blocks * cost[precision].block + away * cost[precision].from_l2 +
         tiling->tile_passes * 100 + tiling->products * 60;
}

static int64_t sample_clocks(const EbbCellTiling *tiling, bool on_chip) {
  return tiling->step_blocks * (on_chip ? 16 : 32) + tiling->passes * 100;
}

static bool tiles_are_slower(const EbbCellArgs *args, const EbbCellGpu *gpu, int32_t resident) {
  const EbbCellTiling *tiling = &args->cuda.tiling;
  const bool on_chip = args->cuda.steps.parameters + args->cuda.steps.vectors < gpu->shared;
  const int64_t tiles = quotient(quotient(args->B, EBB_CELL_TILE), gpu->processors);
  return tiles * tile_clocks(tiling, gpu->precision, resident) >=
         quotient(args->B, gpu->processors) * sample_clocks(tiling, on_chip);
}

static const char *why_never(const EbbCellArgs *args) {
  if (args->engine == EBB_CELL_BY_SAMPLE) return "tiles are not wanted";
  if (args->cuda.tiling.synapses) return "the steps have synapses";
  return args->cuda.tiling.blocks == 0 ? "the steps multiply no matrix" : NULL;
}

bool ebb_cell_may_tile(const EbbCellArgs *args) { return !why_never(args); }

const char *ebb_cell_tile_refusal(const EbbCellArgs *args, const EbbCellGpu *gpu, bool back) {
  const char *never = why_never(args);
  if (never) return never;
  const EbbCellTilePlaces at = ebb_cell_tile_places(args, gpu, back);
  if (at.floats > gpu->shared) return "the vectors of a tile do not fit in shared memory";
  if (args->engine == EBB_CELL_BY_TILE) return NULL;
  if (args->B < EBB_CELL_TILE) return "the samples do not fill a tile";
  return tiles_are_slower(args, gpu, at.resident) ? "a sample a block takes fewer clocks" : NULL;
}
