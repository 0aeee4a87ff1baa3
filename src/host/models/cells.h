/* Stacks of recurrent cells. */
#ifndef EBB_HOST_CELLS_H
#define EBB_HOST_CELLS_H

#include "ebb/model.h"

/* model.n_layers cells as the keys model.* say, the first on d_input features. Errors: those of
   ebb_cell_from_config. */
EbbStatus ebb_cells_from_config(const EbbConfig *config, int64_t d_input, EbbCells **out) EBB_MUST_CHECK;
void ebb_cells_destroy(EbbCells *cells);

/* x (B, T, I) through all layers; elapsed (B, T) and lengths (B) may be EBB_NO_VALUE. rates: nothing yet;
   receives those of cells that are watched. */
EbbStatus ebb_cells_record(EbbGraph *graph, const EbbCells *cells, EbbValue x, EbbValue elapsed,
                           EbbValue lengths, EbbRates *rates, EbbValue *y) EBB_MUST_CHECK;

/* Outputs of the last layer. */
int64_t ebb_cells_outputs(const EbbCells *cells);

#endif
