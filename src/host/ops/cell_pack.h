/* Parameters as the CPU's kernels read them. */
#ifndef EBB_HOST_OPS_CELL_PACK_H
#define EBB_HOST_OPS_CELL_PACK_H

#include "host/ops/cell_plan.h"

/* Parameters after map and mask, into a->arena. team: whose leader calls this, or NULL. */
void ebb_cell_fill_arena(const EbbCellArgs *a, EbbCellTeam *team);
/* Those of a->arena that synapses and matrices read in an order of their own, into a->pack (plan->packed
   floats and 16 more). */
void ebb_cell_pack(const EbbCellArgs *a, const EbbCellPlan *plan, EbbCellTeam *team);

#endif
