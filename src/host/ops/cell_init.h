/* Initial values of a cell's parameters that a plain draw cannot give. */
#ifndef EBB_HOST_OPS_CELL_INIT_H
#define EBB_HOST_OPS_CELL_INIT_H

#include <stdint.h>

#include "ebb/status.h"

/* A (rows, columns) whose shorter side's vectors are orthonormal: uniform among such, by Gram-Schmidt on
   normal draws of (seed, stream). Source: Saxe et al. 2014. Errors: MEMORY. */
EbbStatus ebb_cell_orthogonal(uint64_t seed, uint32_t stream, int64_t rows, int64_t columns,
                              float *out) EBB_MUST_CHECK;

#endif
