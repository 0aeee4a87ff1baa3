/* Encoders: values to spikes (0 or 1). Source: the common codes of Guo et al. 2021, "Neural coding in
   spiking neural networks". */
#ifndef EBB_SPIKES_H
#define EBB_SPIKES_H

#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rate code: spike[i] is 1 with probability x[i], clipped to 0..1. The draw is a function of (seed, step, i)
   alone, so each step of a sequence gets its own number. Errors: NUMERIC (which x is not finite). */
EbbStatus ebb_spikes_rate(int64_t n, const double *x, uint64_t seed, uint64_t step,
                          double *spike) EBB_MUST_CHECK;

/* Latency code: each of n values sends one spike within T steps, at step round((1 - x)(T - 1)) of x clipped
   to 0..1: the larger, the sooner; values below `least` send none. spike (T, n). Errors: INVALID (steps < 1),
   NUMERIC. */
EbbStatus ebb_spikes_latency(int64_t n, const double *x, double least, int64_t steps,
                             double *spike) EBB_MUST_CHECK;

/* Send on change: x (T, n) to spike (T, 2n), where column i tells that x[i] rose by `threshold` or more since
   it was last sent, column n + i that it fell; a change of several thresholds is one spike. `sent` (n) holds
   the last values sent; NAN in it takes the next value without a spike, so fill it with NAN before the first
   step. Errors: INVALID (threshold <= 0), NUMERIC (sent is as it was). */
EbbStatus ebb_spikes_delta(int64_t n, int64_t steps, const double *x, double threshold, double *sent,
                           double *spike) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
