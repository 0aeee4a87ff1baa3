#include "ebb/optim.h"

#include "host/learn/optim_kernels.h"

static EbbStatus kernels_of(const EbbParams *params, const EbbOptimKernels **kernels) {
  *kernels = NULL;
  if (ebb_params_placed(params)) return ebb_optim_kernels(ebb_params_device(params), kernels);
  (void)ebb_fail(EBB_STATE, "the parameters are not placed yet");
  return EBB_STATE;
}

EbbStatus ebb_average_create(EbbParams *params, float **average) {
  const EbbOptimKernels *kernels = NULL;
  EBB_TRY(kernels_of(params, &kernels));
  EbbDevice *device = ebb_params_device(params);
  const int64_t size = ebb_params_size(params);
  void *memory = NULL;
  EBB_TRY(ebb_device_alloc(device, (size_t)size * sizeof(float), "an average of the parameters", &memory));
  *average = memory;
  return kernels->mix(device, *average, ebb_params_flat(params, EBB_FLAT_VALUE), size, 1);
}

EbbStatus ebb_average_update(EbbParams *params, float *average, double weight) {
  const EbbOptimKernels *kernels = NULL;
  EBB_TRY(kernels_of(params, &kernels));
  if (!(weight >= 0 && weight <= 1))
    return ebb_fail(EBB_INVALID, "an average's weight is %g; it must be within 0..1", weight);
  return kernels->mix(ebb_params_device(params), average, ebb_params_flat(params, EBB_FLAT_VALUE),
                      ebb_params_size(params), (float)weight);
}

EbbStatus ebb_average_swap(EbbParams *params, float *average) {
  const EbbOptimKernels *kernels = NULL;
  EBB_TRY(kernels_of(params, &kernels));
  return kernels->swap(ebb_params_device(params), average, ebb_params_flat(params, EBB_FLAT_VALUE),
                       ebb_params_size(params));
}
