/* A tile of R samples at work: its memory, and the instructions that run on it. */
#ifndef EBB_HOST_OPS_CELL_TILE_H
#define EBB_HOST_OPS_CELL_TILE_H

#include "host/ops/cell_plan.h"
#include "host/ops/cell_team.h"

/* Where the vectors of a program stand for some columns: unit u of a space is `columns` floats from
   value[space] + u columns on; elapsed time has one value in all units. Gradients of constants, and of what
   nobody asks for, are NULL. */
typedef struct EbbCellFrame {
  int64_t columns;
  int64_t steps; /* in use, R columns each */
  float *value[EBB_CELL_SPACES], *grad[EBB_CELL_SPACES];
} EbbCellFrame;

/* What all tiles of a pass share. */
typedef struct EbbCellShared {
  const EbbCell *cell;
  const EbbCellPlan *plan;
  const float *arena, *pack;
  bool backward;
} EbbCellShared;

typedef struct EbbCellTile {
  EbbCellShared shared;
  EbbCellTeam *team; /* NULL: one thread works on the tile */
  EbbCellFrame frame[EBB_CELL_FRAMES];
  float *states;             /* (backward: repeat + 3, else 2; S, R): before each section of a step */
  float *body;               /* (repeat, body_units, R) results of BODY, where they are kept */
  float *state_grad;         /* (S, R) */
  float *through;            /* (S, R): gradients of lanes whose sequence has ended */
  float *source;             /* (sources, 16): a vector of sources, copied to all groups of lanes */
  float *source_grad;        /* (sources, 16) */
  float *sums;               /* plan->sums */
  float *history;            /* plan->history */
  float *product;            /* plan->product */
  int32_t *in_history;       /* (instructions): columns that wait */
  double *partial;           /* (arena) gradients of what programs read; NULL: none is wanted */
  int64_t unflushed;         /* sub-steps whose gradients of parameters are still in floats */
  int64_t first, donor;      /* the first lane's sample; the lane with the longest sequence */
  int32_t length[EBB_LANES]; /* steps of each lane; 0: no sample */
  int32_t longest;
  float elapsed[EBB_LANES]; /* of the step */
  float rate[EBB_LANES];    /* the largest rate * step so far */
} EbbCellTile;

/* Lays a tile's memory out from `base`; returns the bytes that it takes. base NULL: only counts. */
size_t ebb_cell_tile_place(EbbCellTile *tile, const EbbCellShared *shared, char *base);
/* Before a tile's first step: spreads parameters and clears gradients. */
void ebb_cell_tile_start(EbbCellTile *tile);
/* Moves gradients of parameters from floats into `partial`. */
void ebb_cell_tile_flush(EbbCellTile *tile);

/* Instructions, forward and backward. Backward adds to the gradients of operands, from that of `to`, which it
   clears. */
typedef void (*EbbCellRunFn)(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line);
typedef struct EbbCellRunner {
  EbbCellRunFn forward, backward;
} EbbCellRunner;
extern const EbbCellRunner ebb_cell_formulas[EBB_CELL_CODES]; /* by code, NULL for motions */
#define EBB_CELL_FORMULA(CODE, name, operands)
#define EBB_CELL_MOTION(CODE, name) extern const EbbCellRunner ebb_cell_run_##name;
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION

/* What flushing means for LINEAR and SYNAPSES. */
void ebb_cell_flush_linear(EbbCellTile *tile);
void ebb_cell_flush_synapses(EbbCellTile *tile);

/* The instructions of a section on the vectors of a frame. */
void ebb_cell_run_section(EbbCellTile *tile, EbbCellFrameKind kind, EbbCellSection section);
void ebb_cell_back_section(EbbCellTile *tile, EbbCellFrameKind kind, EbbCellSection section);

/* One step of all lanes from tile->states on; the state after it is ebb_cell_tile_after. Notes rates. */
void ebb_cell_run_step(EbbCellTile *tile);
/* After ebb_cell_run_step of a backward pass: takes state_grad and the other gradients of that step back. */
void ebb_cell_back_step(EbbCellTile *tile);
float *ebb_cell_tile_after(const EbbCellTile *tile);

EBB_INLINE float *ebb_cell_value(const EbbCellFrame *frame, EbbCellRef ref) {
  float *value = frame->value[ref.space];
  return value ? value + (int64_t)ref.at * frame->columns : NULL;
}
EBB_INLINE float *ebb_cell_grad(const EbbCellFrame *frame, EbbCellRef ref) {
  float *grad = frame->grad[ref.space];
  return grad ? grad + (int64_t)ref.at * frame->columns : NULL;
}

/* n floats and what is missing to whole lanes: vectors have room for these, and loops without a rest give the
   same bits wherever an element stands. */
EBB_INLINE int64_t ebb_cell_whole(int64_t n) { return (n + EBB_LANES - 1) / EBB_LANES * EBB_LANES; }

EBB_INLINE void ebb_cell_add_to(float *restrict to, const float *restrict from, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

#endif
