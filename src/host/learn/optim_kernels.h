/* The loops behind optim.h, one table a backend. */
#ifndef EBB_HOST_LEARN_OPTIM_KERNELS_H
#define EBB_HOST_LEARN_OPTIM_KERNELS_H

#include "ebb/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flat floats begin .. end - 1 of one group. */
typedef struct EbbOptimRange {
  int64_t begin, end;
  float *value, *m, *v;
  const float *grad;
  EbbConstraint constraint;
} EbbOptimRange;

typedef struct EbbOptimKernels {
  EbbStatus (*adamw)(EbbDevice *device, const EbbOptimRange *range, const EbbAdamWRates *rates);
  EbbStatus (*square_sum)(EbbDevice *device, const float *x, int64_t size, double *sum);
  EbbStatus (*mix)(EbbDevice *device, float *average, const float *value, int64_t size, float weight);
  EbbStatus (*swap)(EbbDevice *device, float *a, float *b, int64_t size);
} EbbOptimKernels;

extern const EbbOptimKernels ebb_optim_cpu, ebb_optim_cuda;

#ifdef __cplusplus
}
#endif

#endif
