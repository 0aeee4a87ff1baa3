#include "ebb/optim.h"

#include <stdlib.h>

#include "host/learn/optim_kernels.h"
#include "host/with_cuda.h"

static const EbbOptimKernels *const backends[EBB_BACKENDS] = {
    [EBB_CPU] = &ebb_optim_cpu,
    [EBB_CUDA] = EBB_CUDA_ENTRY(&ebb_optim_cuda),
};

static EbbStatus kernels_of(const EbbParams *params, const EbbOptimKernels **kernels) {
  if (!ebb_params_placed(params)) {
    (void)ebb_fail(EBB_STATE, "the parameters are not placed yet");
    return EBB_STATE;
  }
  *kernels = backends[ebb_device_backend(ebb_params_device(params))];
  if (*kernels) return EBB_OK;
  (void)ebb_fail(EBB_UNSUPPORTED, "this build has no optimiser for %s",
                 ebb_device_description(ebb_params_device(params)));
  return EBB_UNSUPPORTED;
}

/* ---- AdamW */

static EbbStatus check_config(const EbbAdamW *c, int64_t step, double lr_factor, double grad_scale) {
  if (!(c->lr >= 0)) return ebb_fail(EBB_INVALID, "AdamW: learning rate %g must be at least 0", c->lr);
  if (!(c->weight_decay >= 0))
    return ebb_fail(EBB_INVALID, "AdamW: weight decay %g must be at least 0", c->weight_decay);
  if (!(c->beta1 >= 0 && c->beta1 < 1 && c->beta2 >= 0 && c->beta2 < 1))
    return ebb_fail(EBB_INVALID, "AdamW: betas %g and %g must be at least 0 and below 1", c->beta1, c->beta2);
  if (!(c->eps > 0)) return ebb_fail(EBB_INVALID, "AdamW: eps %g must be above 0", c->eps);
  if (step < 1)
    return ebb_fail(EBB_INVALID, "AdamW: update %lld; updates are counted from 1", (long long)step);
  if (!(isfinite(lr_factor) && isfinite(grad_scale)))
    return ebb_fail(EBB_INVALID, "AdamW: rate factor %g and gradient scale %g must be finite", lr_factor,
                    grad_scale);
  return EBB_OK;
}

EbbStatus ebb_adamw_step(EbbParams *params, const EbbAdamW *config, int64_t step, double lr_factor,
                         double grad_scale) {
  const EbbOptimKernels *kernels = NULL;
  EBB_TRY(check_config(config, step, lr_factor, grad_scale));
  EBB_TRY(kernels_of(params, &kernels));
  for (int i = 0; i < ebb_params_group_count(params); i++) {
    const EbbParamGroup *group = ebb_params_group(params, i);
    if (group->own_lr && group->lr == 0) continue;
    const double lr = (group->own_lr ? group->lr : config->lr) * lr_factor;
    const double decay = group->own_decay ? group->weight_decay : config->weight_decay;
    const EbbAdamWRates rates = ebb_adamw_rates(config, lr, decay, step, grad_scale);
    const EbbOptimRange range = {.begin = group->begin,
                                 .end = group->end,
                                 .value = ebb_params_flat(params, EBB_FLAT_VALUE),
                                 .grad = ebb_params_flat(params, EBB_FLAT_GRAD),
                                 .m = ebb_params_flat(params, EBB_FLAT_M),
                                 .v = ebb_params_flat(params, EBB_FLAT_V),
                                 .constraint = group->constraint};
    EBB_TRY(kernels->adamw(ebb_params_device(params), &range, &rates));
  }
  return EBB_OK;
}

/* ---- gradients */

EbbStatus ebb_grad_norm(EbbParams *params, double *norm) {
  const EbbOptimKernels *kernels = NULL;
  EBB_TRY(kernels_of(params, &kernels));
  double sum = 0;
  EBB_TRY(kernels->square_sum(ebb_params_device(params), ebb_params_flat(params, EBB_FLAT_GRAD),
                              ebb_params_size(params), &sum));
  *norm = sqrt(sum);
  return EBB_OK;
}

double ebb_grad_clip_scale(double norm, double most) { return most > 0 ? fmin(1, most / (norm + 1e-6)) : 1; }

static EbbStatus check_gradient(const EbbParam *param, const float *grad) {
  int64_t first = -1, count = 0;
  for (int64_t i = 0; i < param->size; i++)
    if (!isfinite(grad[i])) {
      if (count++ == 0) first = i;
    }
  if (count == 0) return EBB_OK;
  return ebb_fail(
      EBB_NUMERIC, "the gradient of '%s' is %g at element %lld (%lld of %lld elements are not finite)",
      param->name, (double)grad[first], (long long)first, (long long)count, (long long)param->size);
}

static EbbStatus scan_gradients(EbbParams *params, float *host) {
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    if (param->group < 0) continue;
    EBB_TRY(ebb_device_read(ebb_params_device(params), host, ebb_params_grad(params, i),
                            (size_t)param->size * sizeof *host));
    EBB_TRY(check_gradient(param, host));
  }
  return ebb_fail(EBB_NUMERIC,
                  "the gradient's norm is beyond the range of numbers, though every element is finite");
}

EbbStatus ebb_grad_check(EbbParams *params, double norm) {
  if (isfinite(norm)) return EBB_OK;
  float *host = malloc((size_t)ebb_params_size(params) * sizeof *host);
  if (!host)
    return ebb_fail(EBB_MEMORY, "the gradient's norm is %g, and there is no memory to look closer", norm);
  const EbbStatus status = scan_gradients(params, host);
  free(host);
  return status;
}

/* ---- averages */

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
