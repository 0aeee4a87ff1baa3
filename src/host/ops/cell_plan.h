/* A cell's program laid out for the CPU, once for each graph: where its vectors stand in the memory of a
   tile, and which synapses share a vector of lanes. A plan is one block of memory without pointers into
   itself, so that it may be copied.

   R samples stand side by side in a tile. A frame holds the vectors of a program for some columns: those of a
   step (R), or those of a chunk of steps at once (SEQUENCE). A vector of width w takes w rows of `columns`
   floats. Parameters and constants that stand in elementwise instructions are spread: copied to all columns.
 */
#ifndef EBB_HOST_OPS_CELL_PLAN_H
#define EBB_HOST_OPS_CELL_PLAN_H

#include "ebb/ops/cell.h"
#include "host/lanes.h"
#include "host/ops/cell_team.h"

enum {
  EBB_CELL_SPACES = EBB_CELL_CONSTANT + 1,
  EBB_CELL_COLUMNS = 112, /* of a chunk of steps, about */
  EBB_CELL_HISTORY = 128, /* columns of inputs and gradients that wait for a product, in LINEAR */
  EBB_CELL_PACKED = 64    /* outputs of a packed matrix that stand beside each other */
};

typedef enum EbbCellFrameKind { EBB_CELL_CHUNK, EBB_CELL_ONE, EBB_CELL_FRAMES } EbbCellFrameKind;

typedef struct EbbCellLine {
  EbbCellInstruction in; /* PARAM and CONSTANT operands: `at` counts the frame's spread units */
  int32_t trained;       /* LINEAR: its matrix has a gradient */
  int64_t history;       /* LINEAR of steps: its place in the tile's history, in floats */
  int64_t packed;        /* LINEAR on one column: place in the pack, in floats; others -1 */
} EbbCellLine;

/* An operand to be spread. */
typedef struct EbbCellSpread {
  EbbCellRef from; /* PARAM (at: of the arena) or CONSTANT */
  int32_t to, trained;
  EbbCellFrameKind frame;
} EbbCellSpread;

/* Synapses by lanes: a block is K = 16 / R targets, lane k R + r is target k for sample r; a slot of it is a
   source that at least one of its targets listens to. Slots are in the order of blocks, then of
   sources, their sums in that of chunks of sources, then of slots: backward gives out chunks, and members
   must not write beside each other all the time. */
typedef struct EbbCellSlots {
  int32_t blocks, chunks, slots, trained;
  size_t cut_at;     /* int32 (chunks + 1, blocks): the first slot of each block from this chunk on */
  size_t below_at;   /* int32 (sources + 1): slots of the sources below each */
  size_t source_at;  /* int32 (slots) */
  size_t synapse_at; /* int32 (slots, K): index into the synapses, -1: none */
  int64_t packed;    /* place of the pack (slots, 4, K), in floats */
  int64_t sums;      /* place of the sums (slots, plan->slot_sums), in floats */
} EbbCellSlots;

typedef struct EbbCellPlan {
  size_t bytes;
  int64_t R, K;
  int64_t steps, columns;                 /* of a chunk; columns >= steps R: a multiple of 16, or R */
  int32_t spread[EBB_CELL_FRAMES];        /* units */
  int32_t elapsed_width[EBB_CELL_FRAMES]; /* the widest operand that elapsed time stands for */
  int32_t sources;                        /* the most of a list of synapses */
  int32_t product;                        /* the most elements of a matrix */
  bool x_in_steps;                        /* X is read outside of SEQUENCE */
  int32_t body_at, body_units;            /* where results of BODY stand in TEMP */
  bool keeps_body;               /* backward keeps them of all repetitions, else it runs them again */
  EbbCellSection rate_section;   /* SECTIONS: rate is not known */
  int64_t slot_sums;             /* four sums of a slot by all lanes, or by groups of four lanes */
  int64_t packed, sums, history; /* floats in all */
  int64_t pieces;                /* of the largest instruction of a step, see cell_team.h */
  int32_t n_spreads;
  size_t lines_at, spreads_at;
  EbbCellSlots slots[EBB_CELL_TABLES];
} EbbCellPlan;

/* Samples a tile, from the batch alone: results must not depend on the number of threads. */
int64_t ebb_cell_samples(int64_t B);

/* Lifetime: free() by the caller. Errors: MEMORY. */
EbbStatus ebb_cell_plan_create(const EbbCell *cell, int64_t B, int64_t T, EbbCellPlan **out) EBB_MUST_CHECK;

/* What LINEAR on so many columns, and SYNAPSES on one step, cost: multiply-adds of sixteen lanes. */
EBB_INLINE int64_t ebb_cell_product_cost(int64_t outputs, int64_t inputs, int64_t columns) {
  return outputs * inputs * columns / EBB_LANES;
}
EBB_INLINE int64_t ebb_cell_slots_cost(const EbbCellSlots *slots) { return 8 * (int64_t)slots->slots; }
EBB_INLINE int64_t ebb_cell_slots_back_cost(const EbbCellSlots *slots) { return 16 * (int64_t)slots->slots; }
/* The first source of a chunk. */
EBB_INLINE int64_t ebb_cell_chunk_source(const EbbCellSlots *slots, const int32_t *below, int64_t sources,
                                         int64_t chunk) {
  const int64_t slot = (int64_t)slots->slots * chunk / slots->chunks;
  int64_t source = 0;
  if (chunk == slots->chunks) return sources;
  while (source < sources && below[source] < slot) source++;
  return source;
}
/* A product's outputs are given out by these. */
EBB_INLINE int64_t ebb_cell_output_blocks(int64_t outputs) {
  return (outputs + EBB_CELL_PACKED - 1) / EBB_CELL_PACKED;
}

EBB_INLINE const EbbCellLine *ebb_cell_lines(const EbbCellPlan *plan) {
  return (const EbbCellLine *)(const void *)((const char *)plan + plan->lines_at);
}
EBB_INLINE const EbbCellSpread *ebb_cell_spreads(const EbbCellPlan *plan) {
  return (const EbbCellSpread *)(const void *)((const char *)plan + plan->spreads_at);
}
EBB_INLINE const int32_t *ebb_cell_plan_list(const EbbCellPlan *plan, size_t at) {
  return (const int32_t *)(const void *)((const char *)plan + at);
}

#endif
