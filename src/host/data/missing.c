#include "host/data/missing.h"

#include <math.h>
#include <stdbool.h>

static bool all_missing(const float *step, int64_t width) {
  for (int64_t i = 0; i < width; i++)
    if (!isnan(step[i])) return false;
  return true;
}

EbbStatus ebb_missing_fill(EbbMissing missing, float *values, int64_t *n_steps, int64_t width,
                           const char *where) {
  while (*n_steps > 0 && all_missing(values + (*n_steps - 1) * width, width)) --*n_steps;
  if (*n_steps == 0) return ebb_fail(EBB_FORMAT, "%s: the sample has no numbers", where);
  for (int64_t i = 0; i < *n_steps * width; i++) {
    if (isfinite(values[i])) continue;
    const long long step = (long long)(i / width) + 1, channel = (long long)(i % width) + 1;
    if (!isnan(values[i]))
      return ebb_fail(EBB_FORMAT, "%s: the number of step %lld, channel %lld is not finite", where, step,
                      channel);
    if (missing == EBB_MISSING_REFUSE)
      return ebb_fail(EBB_FORMAT,
                      "%s: the number of step %lld, channel %lld is missing; dataset.missing=last or zero "
                      "says what stands for it",
                      where, step, channel);
    values[i] = missing == EBB_MISSING_LAST && i >= width ? values[i - width] : 0;
  }
  return EBB_OK;
}
