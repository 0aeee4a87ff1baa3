#include "ebb/spikes.h"

#include <math.h>

#include "ebb/rng.h"
#include "host/finite.h"

static double clip(double x) { return fmin(fmax(x, 0), 1); }

EbbStatus ebb_spikes_rate(int64_t n, const double *x, uint64_t seed, uint64_t step, double *spike) {
  EBB_TRY(ebb_check_finite("the rate-coded value x", x, n));
  for (int64_t i = 0; i < n; i++)
    spike[i] = ebb_unit_double(ebb_random(seed, step, 0, (uint64_t)i)) < clip(x[i]);
  return EBB_OK;
}

EbbStatus ebb_spikes_latency(int64_t n, const double *x, double least, int64_t steps, double *spike) {
  if (steps < 1)
    return ebb_fail(EBB_INVALID, "a latency code of %lld steps; it has 1 or more", (long long)steps);
  EBB_TRY(ebb_check_finite("the latency-coded value x", x, n));
  for (int64_t i = 0; i < n * steps; i++) spike[i] = 0;
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = (int64_t)rint((1 - clip(x[i])) * (double)(steps - 1));
    if (x[i] >= least) spike[at * n + i] = 1;
  }
  return EBB_OK;
}

EbbStatus ebb_spikes_delta(int64_t n, int64_t steps, const double *x, double threshold, double *sent,
                           double *spike) {
  if (!(threshold > 0))
    return ebb_fail(EBB_INVALID, "threshold %g of a send-on-change code; it is above 0", threshold);
  EBB_TRY(ebb_check_finite("the value x to send on change", x, n * steps));
  for (int64_t t = 0; t < steps; t++)
    for (int64_t i = 0; i < n; i++) {
      const double value = x[t * n + i], change = value - sent[i];
      spike[t * 2 * n + i] = change >= threshold;
      spike[t * 2 * n + n + i] = change <= -threshold;
      if (isnan(sent[i]) || fabs(change) >= threshold) sent[i] = value;
    }
  return EBB_OK;
}
