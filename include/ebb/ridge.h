/* Ridge regression, the readout of a reservoir: W = (R'R + lambda I)^-1 R'Y over samples that come in pieces.
 */
#ifndef EBB_RIDGE_H
#define EBB_RIDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbRidge EbbRidge;

/* Sums for `features` inputs and `outputs` targets of a sample. With `bias` the readout has a constant term,
   which lambda does not shrink. Errors: INVALID, MEMORY. */
EbbStatus ebb_ridge_create(int features, int outputs, bool bias, EbbRidge **out) EBB_MUST_CHECK;
void ebb_ridge_destroy(EbbRidge *ridge); /* NULL is allowed */

/* Adds n samples: R (n, features), Y (n, outputs). Errors: NUMERIC (a value is not finite: which one; nothing
   was added), MEMORY. */
EbbStatus ebb_ridge_add(EbbRidge *ridge, int64_t n, const double *R, const double *Y) EBB_MUST_CHECK;

/* Solves the normal equations by Cholesky's factorisation into W (features, or features + 1 with the bias in
   the last row; outputs). Errors: INVALID (lambda < 0), STATE (no samples yet), NUMERIC (the equations are
   singular or too near to it: what to do), MEMORY. */
EbbStatus ebb_ridge_solve(const EbbRidge *ridge, double lambda, double *W) EBB_MUST_CHECK;

/* Y = R W (+ bias) for n samples. */
void ebb_ridge_apply(const EbbRidge *ridge, const double *W, int64_t n, const double *R, double *Y);

#ifdef __cplusplus
}
#endif
#endif
