/* Conformance: runs a case file (format ebb-case-1: parameters, inputs, expected outputs and gradients of a
   published implementation) on a device and compares. */
#ifndef EBB_VERIFY_H
#define EBB_VERIFY_H

#include <stdbool.h>

#include "ebb/shape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbVerifyRow {
  const char *tensor; /* "grad.kernel.C" */
  EbbShape shape;
  double error; /* norm(x - expected) / norm(expected); norm(x - expected) where float64 rounding is all that
                   is expected, a root mean square below 1e-14 */
  double tolerance;
  bool passed;
} EbbVerifyRow;

typedef struct EbbVerifyReport {
  void *context;
  void (*row)(void *context, const EbbVerifyRow *row); /* one compared tensor; may be NULL */
  void (*remark)(void *context, const char *text); /* what the case's note or its kind implies; may be NULL */
} EbbVerifyReport;

typedef struct EbbVerifyResult {
  int compared, failed;
} EbbVerifyResult;

/* Errors: NOT_FOUND, FORMAT (no case file, or one that lacks what its kind needs), UNSUPPORTED (a layer or
   kind that this build does not know), and those of the layer itself. A comparison that fails is no error:
   see the result. */
EbbStatus ebb_verify_case(const char *path, const char *device, int threads, const EbbVerifyReport *report,
                          EbbVerifyResult *result) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
