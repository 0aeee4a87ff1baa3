/* Refusing NaN and infinity before anything is computed from them. */
#ifndef EBB_HOST_FINITE_H
#define EBB_HOST_FINITE_H

#include <math.h>
#include <stdint.h>

#include "ebb/status.h"

/* Errors: NUMERIC: "<what>[<index>] is <value>", for the first value that is not finite. */
static inline EbbStatus ebb_check_finite(const char *what, const double *values, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(values[i]))
      return ebb_fail(EBB_NUMERIC, "%s[%lld] is %g, which is no finite number", what, (long long)i,
                      values[i]);
  return EBB_OK;
}

#endif
