/* How a tile goes through time: what forward, backward and stepping share. Lanes without a sample, and those
   whose sequence has ended, work on the numbers of the lane with the longest sequence, so that they meet
   nothing that no sample meets; what they give is dropped and no gradient enters them. */
#ifndef EBB_HOST_OPS_CELL_PASS_H
#define EBB_HOST_OPS_CELL_PASS_H

#include "host/ops/cell_tile.h"

EBB_INLINE bool ebb_cell_lane_runs(const EbbCellTile *tile, int64_t r, int64_t t) {
  return t < tile->length[r];
}
/* The sample whose numbers lane r has at step t. */
EBB_INLINE int64_t ebb_cell_lane_sample(const EbbCellTile *tile, int64_t r, int64_t t) {
  return tile->first + (ebb_cell_lane_runs(tile, r, t) ? r : tile->donor);
}
EBB_INLINE bool ebb_cell_lane_exists(const EbbCellTile *tile, const EbbCellArgs *a, int64_t r) {
  return tile->first + r < a->B;
}

/* The threads of a pass over `leaders` tiles, or groups of them, after the parameters have been packed. */
typedef struct EbbCellCrew {
  int threads;
  EbbCellSeats packing, tiles;
} EbbCellCrew;
size_t ebb_cell_crew_bytes(int64_t threads);
EbbCellCrew ebb_cell_crew(const EbbCellArgs *a, int64_t leaders, int threads);

/* Samples and lengths of tile `index`. */
void ebb_cell_pass_begin(EbbCellTile *tile, const EbbCellArgs *a, int64_t index);
/* Steps t .. t + steps - 1 into the chunk's frame (columns beyond repeat the last), and SEQUENCE on them. */
void ebb_cell_pass_chunk(EbbCellTile *tile, const EbbCellArgs *a, int64_t t, int64_t steps);
/* Step t, number `in_chunk` of its chunk, into the frame of a step. */
void ebb_cell_pass_step(EbbCellTile *tile, const EbbCellArgs *a, int64_t t, int64_t in_chunk);
/* The states before step t, from a->states or the initial ones, into tile->states. */
void ebb_cell_pass_states(EbbCellTile *tile, const EbbCellArgs *a, int64_t t);

/* Errors: INVALID names the row, and the step, of a length or an elapsed time that cannot be. */
EbbStatus ebb_cell_check_values(const EbbCellArgs *a) EBB_MUST_CHECK;
/* All steps of a tile that ebb_cell_tile_start has made ready. */
void ebb_cell_forward_tile(EbbCellTile *tile, const EbbCellArgs *a, int64_t index);

EbbStatus ebb_cell_forward(const void *args, const EbbRun *run);
EbbStatus ebb_cell_backward(const void *args, const EbbRun *run);

#endif
