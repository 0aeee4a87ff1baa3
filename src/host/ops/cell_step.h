/* A cell step by step, for B sequences at once, on the host: the same bits as the op `cell` on a batch of B.
 */
#ifndef EBB_HOST_OPS_CELL_STEP_H
#define EBB_HOST_OPS_CELL_STEP_H

#include "ebb/cell.h"
#include "ebb/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbCellStepper EbbCellStepper;

/* Copies the cell's parameters from those of `scope`. Lifetime: the cell must outlive it. Errors: MEMORY,
   INVALID (B < 1), NOT_FOUND and SHAPE where a parameter is not there. */
EbbStatus ebb_cell_stepper_create(const EbbCell *cell, const EbbParams *params, const char *scope, int64_t B,
                                  EbbCellStepper **out) EBB_MUST_CHECK;
void ebb_cell_stepper_destroy(EbbCellStepper *stepper);

/* One step: x (B, I), elapsed (B) or NULL for 1, state (B, S) replaced by the next one, y (B, O). rate
   (B, cell->rate.width) or NULL: the neurons' rates in this step, in a solver's last sub-step; NULL where the
   cell does not know them. Errors: INVALID for elapsed times that are negative or not finite. */
EbbStatus ebb_cell_stepper_step(EbbCellStepper *stepper, const float *x, const float *elapsed, float *state,
                                float *y, float *rate) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
