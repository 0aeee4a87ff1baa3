/* What the op `cell` asks for on a GPU: its program in the engine's form, tables and memory. */
#ifndef EBB_HOST_OPS_CELL_GPU_H
#define EBB_HOST_OPS_CELL_GPU_H

#include "ebb/device.h"
#include "ebb/ops/cell.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A list of ops under way. */
typedef struct EbbCellList {
  EbbCellOp *op;
  EbbCellLoad *load;
  float *scalar;
  int32_t *home;
  int32_t n_ops, n_loads, n_scalars, n_home, load_room, home_room;
  int32_t at_state, at_temp, at_seq, at_x, at_scalars; /* of the vectors */
  int32_t sums_of[EBB_CELL_PARAMS];                    /* first float of a parameter's sums; -1: none yet */
} EbbCellList;

typedef struct EbbCellWriter {
  const EbbCell *cell;
  EbbCellCuda *cuda;
  EbbStatus status;
  bool live[EBB_CELL_INSTRUCTIONS];
  EbbCellList rows, steps;
} EbbCellWriter;

/* Fills cuda's description of `cell` and the lists. Errors: MEMORY, INVALID. Release with ..._end. */
EbbStatus ebb_cell_writer_begin(EbbCellWriter *writer, const EbbCell *cell, EbbCellCuda *cuda) EBB_MUST_CHECK;
void ebb_cell_writer_end(EbbCellWriter *writer);

/* Which instructions a gradient reaches. */
void ebb_cell_find_live(const EbbCell *cell, bool *live);
/* Sets the flags for barriers of consecutive ops, which start and end with one. */
void ebb_cell_find_waits(EbbCellOp *op, int32_t count);

/* The runs of SEQUENCE, and the sections of a step. */
void ebb_cell_write_rows(EbbCellWriter *writer);
void ebb_cell_write_steps(EbbCellWriter *writer);

/* Recognises an LTC cell of fused sub-steps, once the program is written. */
void ebb_cell_find_ltc(EbbCellWriter *writer);

/* The blocks of weights and the counts of cuda->tiling, once the program is written. */
void ebb_cell_find_tiling(EbbCellWriter *writer);

/* Whether tiles could run the steps of this program. */
bool ebb_cell_may_tile(const EbbCellArgs *args);
/* Floats in shared memory where the pieces of a tile start; ops -1: they lie in device memory. */
typedef struct EbbCellTilePlaces {
  int32_t ops, weights, vectors, gradients, kept, sums, scratch;
  int32_t resident; /* blocks of weights; the others lie in device memory */
  int64_t floats;
} EbbCellTilePlaces;
typedef struct EbbCellGpu {
  int64_t processors, shared; /* shared: most floats a block can have */
  EbbPrecision precision;
} EbbCellGpu;
/* back: with what backward adds. */
EbbCellTilePlaces ebb_cell_tile_places(const EbbCellArgs *args, const EbbCellGpu *gpu, bool back);
/* Why the steps do not run by tiles of samples; NULL where they do. */
const char *ebb_cell_tile_refusal(const EbbCellArgs *args, const EbbCellGpu *gpu, bool back);

/* For these two: an op for an instruction; vector elements of SEQ or X to be loaded. */
EbbCellOp *ebb_cell_write_op(EbbCellWriter *writer, EbbCellList *list, const EbbCellInstruction *from);
EbbCellOp *ebb_cell_write_copy(EbbCellWriter *writer, EbbCellList *list, int code, EbbCellRef to,
                               EbbCellRef from);
int32_t ebb_cell_address(const EbbCellWriter *writer, EbbCellList *list, EbbCellRef ref);

/* Marks of a run's floats of SEQ and X: read, written. */
typedef struct EbbCellMarks {
  uint8_t *seq, *x;
} EbbCellMarks;
enum { EBB_CELL_READ = 1, EBB_CELL_WRITTEN = 2 };
bool ebb_cell_marks_begin(EbbCellWriter *writer, EbbCellMarks *marks);
void ebb_cell_mark(EbbCellMarks *marks, EbbCellRef ref, uint8_t bit);
/* Adds the loads of `run` from the marks, and clears them. */
void ebb_cell_write_loads(EbbCellWriter *writer, EbbCellList *list, EbbCellMarks *marks, EbbCellRun *run);
void ebb_cell_marks_end(EbbCellMarks *marks);

/* Tables and memory, once shapes, inputs and parameters are known: fills args->cuda. */
EbbStatus ebb_cell_setup_gpu(EbbSetup *setup, EbbCellArgs *args, bool has_lengths) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
