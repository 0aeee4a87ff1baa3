/* A recurrent cell over a sequence:
     x (B, T, I) [, state (B, S)] [, elapsed (B, T)] [, lengths (B)]
       -> y (B, T, O), states (B, T, S) [, rates (B)]
   by the cell's program (cell.h), from `state` or from rest (zeros), with elapsed time 1 where it is not
   given. states holds the state after every step. At steps t >= lengths[b] the state stays as it is and y is
   0. rates, of cells that know their rate: the largest rate * step that a sample met, see EbbCell.rate.
   Backward goes through time with only `states` kept: each step is run again, then backwards. */
#ifndef EBB_OPS_CELL_H
#define EBB_OPS_CELL_H

#include "ebb/cell.h"
#include "ebb/op.h"
#include "ebb/ops/cell_cuda.h"
#include "ebb/scalar.h"

/* Lifetime: the cell must outlive the graph. Forward fails with INVALID where an elapsed time is negative or
   not finite or a length is outside 0..T, naming row and step; with NUMERIC where unstable_fails is set and a
   sample's rate * step is beyond the cell's limit. */
typedef struct EbbCellConfig {
  const EbbCell *cell;
  bool has_state, has_elapsed, has_lengths; /* which of the inputs follow x, in this order */
  bool unstable_fails;
  int64_t truncate; /* backward stops at every so many steps, where the state comes in as if it were given; 0:
                       it goes back to the start. Source: Williams and Peng 1990, "An efficient gradient-based
                       algorithm for on-line training of recurrent network trajectories" */
  bool approximate; /* sigmoids of an LTC cell's synapses within 5e-4, where a GPU is faster so */
  EbbCellEngine engine; /* on a GPU; EBB_CELL_BY_SIZE (0) is the one to use */
} EbbCellConfig;

/* Values of the CPU's layout: R samples stand side by side, and a tile of R samples is worked on as one. */
typedef struct EbbCellArgs {
  const EbbCell *cell;
  const float *x;                        /* (B, T, I), read again by backward */
  float *dx;                             /* (B, T, I) or NULL */
  const float *state;                    /* (B, S) or NULL */
  float *dstate;                         /* (B, S) or NULL */
  const float *elapsed;                  /* (B, T) or NULL: 1 */
  float *delapsed;                       /* (B, T) or NULL */
  const int32_t *lengths;                /* (B) or NULL: T */
  bool add_dx, add_dstate, add_delapsed; /* add to what is there, else overwrite */
  float *y;                              /* (B, T, O) */
  const float *dy;                       /* (B, T, O) or NULL: zero */
  float *states;                         /* (B, T, S), read again by backward */
  const float *dstates;                  /* (B, T, S) or NULL: zero */
  float *rates;                          /* (B) or NULL */
  const float *value[EBB_CELL_PARAMS];   /* parameters as declared; NULL: constant */
  float *grad[EBB_CELL_PARAMS];          /* added to; NULL: not wanted */
  int64_t B, T, I, S, O, truncate;
  bool unstable_fails, approximate;
  EbbCellEngine engine;
  float *arena; /* (cell->arena; CUDA: cuda.arena) parameters after map and mask; forward to backward */
  /* CPU */
  const struct EbbCellPlan *plan; /* host/ops/cell_plan.h */
  int64_t R, tiles;               /* samples a tile */
  float *pack;                    /* parameters of synapses by lanes, scratch */
  char *work;                     /* work_bytes a thread, scratch */
  size_t work_bytes;
  char *teams;     /* of threads that work on one tile, scratch (host/ops/cell_team.h) */
  int64_t groups;  /* of tiles; the tiles of a group run in order */
  double *partial; /* (groups, cell->arena) gradients of what programs read, scratch of backward */
  /* CUDA */
  EbbCellCuda cuda;
} EbbCellArgs;

/* Whether backward stops before step t, see EbbCellConfig.truncate. */
EBB_INLINE bool ebb_cell_is_cut(const EbbCellArgs *a, int64_t t) {
  return a->truncate > 0 && t > 0 && t % a->truncate == 0;
}

#endif
