/* A cell's program run in float64, one sample and instruction after the other: what the engines are measured
   against, and what cases are compared with that float32 cannot follow. */
#ifndef EBB_HOST_CELL_REFERENCE_H
#define EBB_HOST_CELL_REFERENCE_H

#include "ebb/cell.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All arrays are the caller's. Gradients, NULL: not wanted, are added to. */
typedef struct EbbCellReference {
  int64_t B, T;
  const double *x;                      /* (B, T, I) */
  const double *state;                  /* (B, S) or NULL: rest */
  const double *elapsed;                /* (B, T) or NULL: 1 */
  const double *value[EBB_CELL_PARAMS]; /* parameters as declared; NULL: constant */
  double *y, *states;                   /* (B, T, O) and (B, T, S) */
  const double *dy;                     /* (B, T, O); NULL: forward alone */
  double *dx, *dstate, *delapsed, *grad[EBB_CELL_PARAMS];
} EbbCellReference;

/* Errors: MEMORY. */
EbbStatus ebb_cell_reference(const EbbCell *cell, const EbbCellReference *run) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
