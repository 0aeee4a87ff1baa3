/* From a case's config and tensors to its cell. */
#ifndef EBB_HOST_VERIFY_CASE_CELL_H
#define EBB_HOST_VERIFY_CASE_CELL_H

#include "ebb/cells.h"
#include "host/verify/verify_internal.h"

/* The cell of a case whose inputs have I features and whose outputs O. Errors: UNSUPPORTED for a layer that
   is no cell; those of the cell. */
EbbStatus case_cell(const Case *c, const char *layer, int64_t I, int64_t O, EbbCell **out);

/* A case of every sub-step instead of every step. */
EbbStatus verify_cell_trace(Case *c);

#endif
