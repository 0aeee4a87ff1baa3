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
static void place_matrices(EbbCellList *list, EbbCellTiling *tiling) {
  for (EbbCellOp *op = list->op; op < list->op + list->n_ops; op++) {
    if (op->code != EBB_CELL_LINEAR) continue;
    const EbbCellOp *same = list->op;
    while (same < op &&
           (same->code != EBB_CELL_LINEAR || memcmp(&same->matrix, &op->matrix, sizeof op->matrix) != 0))
      same++;
    op->block = same < op ? same->block : tiling->blocks;
    if (same < op) continue;
    op->flags |= EBB_CELL_FILLS;
    tiling->blocks += blocks_of(&op->matrix);
  }
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

static void count(EbbCellTiling *tiling, const EbbCellOp *op, int64_t times, int64_t sample_threads) {
  tiling->synapses |= op->code == EBB_CELL_SYNAPSES;
  tiling->passes += times * quotient(op->width, sample_threads);
  tiling->tile_passes += times * quotient((int64_t)op->width * EBB_CELL_TILE, tiling->threads);
  if (op->code != EBB_CELL_LINEAR) return;
  tiling->products += times;
  tiling->step_blocks += times * blocks_of(&op->matrix);
}

void ebb_cell_find_tiling(EbbCellWriter *writer) {
  EbbCellTiling *tiling = &writer->cuda->tiling;
  if (writer->status != EBB_OK) return;
  *tiling = (EbbCellTiling){.threads = threads_for(&writer->steps)};
  place_matrices(&writer->steps, tiling);
  for (int s = EBB_CELL_STEP; s < EBB_CELL_SECTIONS; s++) {
    const EbbCellRun *run = &writer->cuda->section[s];
    for (int32_t i = run->first; i < run->first + run->count; i++)
      count(tiling, &writer->steps.op[i], s == EBB_CELL_BODY ? writer->cell->repeat : 1, EBB_CELL_THREADS);
  }
}

/* ---- of a launch ---- */

static int32_t take(EbbCellTilePlaces *at, int64_t floats) {
  const int64_t place = at->floats;
  at->floats += (floats + 3) / 4 * 4;
  return (int32_t)place;
}

EbbCellTilePlaces ebb_cell_tile_places(const EbbCellArgs *args, const EbbCellGpu *gpu, bool back) {
  const EbbCellProgram *steps = &args->cuda.steps;
  const EbbCellTiling *tiling = &args->cuda.tiling;
  const int64_t block = gpu->precision == EBB_PRECISION_BF16 ? BLOCK * BLOCK / 2 : BLOCK * BLOCK;
  EbbCellTilePlaces at = {.gradients = -1, .kept = -1, .sums = -1};
  at.weights = take(&at, block * tiling->blocks);
  at.vectors = take(&at, (int64_t)EBB_CELL_TILE * steps->vectors);
  at.scratch = take(&at, (int64_t)tiling->threads / WARP * BLOCK * EBB_CELL_TILE);
  if (back) {
    at.gradients = take(&at, (int64_t)EBB_CELL_TILE * steps->vectors);
    at.kept = take(&at, EBB_CELL_TILE * (args->cell->repeat + 2) * args->S);
    at.sums = take(&at, (int64_t)EBB_CELL_TILE * steps->sums);
  }
  const int64_t before = at.floats;
  at.ops = take(&at, steps->n_ops * (int64_t)(sizeof(EbbCellOp) / sizeof(float)));
  if (at.floats > gpu->shared) at.ops = -1, at.floats = before;
  return at;
}

/* Clocks of a multiprocessor for a step, counted and not measured: of a block of weights those that its loads
   from shared memory or its instructions take, whichever are more; of a pass over elements those of 512
   threads' instructions; of a product of tiles its two barriers. */
static int64_t tile_clocks(const EbbCellTiling *tiling, EbbPrecision precision) {
  static const int64_t block[] = {
      [EBB_PRECISION_FLOAT32] = 15, [EBB_PRECISION_TF32] = 12, [EBB_PRECISION_BF16] = 8};
  return tiling->step_blocks * block[precision] + tiling->tile_passes * 100 + tiling->products * 60;
}

static int64_t sample_clocks(const EbbCellTiling *tiling, bool on_chip) {
  return tiling->step_blocks * (on_chip ? 16 : 32) + tiling->passes * 100;
}

static bool tiles_are_slower(const EbbCellArgs *args, const EbbCellGpu *gpu) {
  const EbbCellTiling *tiling = &args->cuda.tiling;
  const bool on_chip = args->cuda.steps.parameters + args->cuda.steps.vectors < gpu->shared;
  const int64_t tiles = quotient(quotient(args->B, EBB_CELL_TILE), gpu->processors);
  return tiles * tile_clocks(tiling, gpu->precision) >=
         quotient(args->B, gpu->processors) * sample_clocks(tiling, on_chip);
}

const char *ebb_cell_tile_refusal(const EbbCellArgs *args, const EbbCellGpu *gpu, bool back) {
  const EbbCellTiling *tiling = &args->cuda.tiling;
  if (args->engine == EBB_CELL_BY_SAMPLE) return "a block a sample is asked for";
  if (tiling->synapses) return "the steps have synapses";
  if (tiling->blocks == 0) return "the steps multiply no matrix";
  if (ebb_cell_tile_places(args, gpu, back).floats > gpu->shared)
    return "weights and vectors of a tile do not fit in shared memory";
  if (args->engine == EBB_CELL_BY_TILE) return NULL;
  if (args->B < EBB_CELL_TILE) return "the samples do not fill a tile";
  return tiles_are_slower(args, gpu) ? "a block a sample is faster, by the count of clocks" : NULL;
}
