#include "ebb/optim.h"

#include <stdlib.h>

#include "host/learn/optim_kernels.h"

/* What an update reads, in device memory: the groups that move, then two numbers. */
struct EbbOptimizer {
  EbbParams *params;
  EbbDevice *device;
  const EbbOptimKernels *kernels;
  EbbUpdateGroup *host_groups, *groups; /* (n_groups) */
  int n_groups;
  double *numbers; /* most_norm, square_sum, then the partial sums of the latter */
  EbbTally *tally;
  bool own_tally;
};
enum { MOST_NORM, SQUARE_SUM, PARTIALS, NUMBERS = PARTIALS + EBB_SQUARE_PARTIALS };

static EbbStatus take_memory(EbbOptimizer *o) {
  const size_t groups = ((size_t)ebb_params_group_count(o->params) + 1) * sizeof(EbbUpdateGroup);
  o->host_groups = calloc(1, groups);
  if (!o->host_groups) return ebb_fail(EBB_MEMORY, "no memory for the optimiser");
  void *memory = NULL;
  EBB_TRY(ebb_device_alloc(o->device, groups, "the optimiser", &memory));
  o->groups = memory;
  EBB_TRY(ebb_device_alloc(o->device, NUMBERS * sizeof(double), "the optimiser", &memory));
  o->numbers = memory;
  if (o->tally) return EBB_OK;
  o->own_tally = true;
  return ebb_tally_create(o->device, &o->tally);
}

EbbStatus ebb_optimizer_create(EbbParams *params, EbbTally *tally, EbbOptimizer **out) {
  *out = NULL;
  if (!ebb_params_placed(params)) return ebb_fail(EBB_STATE, "the parameters are not placed yet");
  EbbDevice *device = ebb_params_device(params);
  const EbbOptimKernels *kernels = NULL;
  EBB_TRY(ebb_optim_kernels(device, &kernels));
  EbbOptimizer *o = calloc(1, sizeof *o);
  if (!o) return ebb_fail(EBB_MEMORY, "no memory for the optimiser");
  o->params = params, o->device = device, o->kernels = kernels, o->tally = tally;
  EbbStatus status = take_memory(o);
  if (status == EBB_OK)
    *out = o;
  else
    ebb_optimizer_destroy(o);
  return status;
}

void ebb_optimizer_destroy(EbbOptimizer *o) {
  if (!o) return;
  ebb_device_free(o->device, o->groups);
  ebb_device_free(o->device, o->numbers);
  if (o->own_tally) ebb_tally_destroy(o->device, o->tally);
  free(o->host_groups);
  free(o);
}

static EbbStatus check_config(const EbbAdamW *c, int64_t step, double lr_factor, double most_norm) {
  if (!(c->lr >= 0)) return ebb_fail(EBB_INVALID, "AdamW: learning rate %g must be at least 0", c->lr);
  if (!(c->weight_decay >= 0))
    return ebb_fail(EBB_INVALID, "AdamW: weight decay %g must be at least 0", c->weight_decay);
  if (!(c->beta1 >= 0 && c->beta1 < 1 && c->beta2 >= 0 && c->beta2 < 1))
    return ebb_fail(EBB_INVALID, "AdamW: betas %g and %g must be at least 0 and below 1", c->beta1, c->beta2);
  if (!(c->eps > 0)) return ebb_fail(EBB_INVALID, "AdamW: eps %g must be above 0", c->eps);
  if (step < 1)
    return ebb_fail(EBB_INVALID, "AdamW: update %lld; updates are counted from 1", (long long)step);
  if (!isfinite(lr_factor)) return ebb_fail(EBB_INVALID, "AdamW: rate factor %g must be finite", lr_factor);
  if (!(most_norm >= 0))
    return ebb_fail(EBB_INVALID, "AdamW: the gradients' bound %g must be at least 0 (0: none)", most_norm);
  return EBB_OK;
}

EbbStatus ebb_optimizer_set(EbbOptimizer *o, const EbbAdamW *config, int64_t step, double lr_factor,
                            double most_norm) {
  EBB_TRY(check_config(config, step, lr_factor, most_norm));
  o->n_groups = 0;
  for (int i = 0; i < ebb_params_group_count(o->params); i++) {
    const EbbParamGroup *group = ebb_params_group(o->params, i);
    if (group->own_lr && group->lr == 0) continue;
    const double lr = (group->own_lr ? group->lr : config->lr) * lr_factor;
    const double decay = group->own_decay ? group->weight_decay : config->weight_decay;
    const bool clipped = group->constraint == EBB_CLIPPED;
    o->host_groups[o->n_groups++] = (EbbUpdateGroup){.begin = group->begin,
                                                     .end = group->end,
                                                     .rates = ebb_adamw_rates(config, lr, decay, step),
                                                     .constraint = group->constraint,
                                                     .low = clipped ? (float)group->low : 0.0f,
                                                     .high = clipped ? (float)group->high : INFINITY};
  }
  EBB_TRY(ebb_device_upload(o->device, &o->numbers[MOST_NORM], &most_norm, sizeof most_norm));
  return ebb_device_upload(o->device, o->groups, o->host_groups, (size_t)o->n_groups * sizeof *o->groups);
}

EbbStatus ebb_optimizer_update(EbbOptimizer *o) {
  const EbbUpdate update = {.value = ebb_params_flat(o->params, EBB_FLAT_VALUE),
                            .grad = ebb_params_flat(o->params, EBB_FLAT_GRAD),
                            .m = ebb_params_flat(o->params, EBB_FLAT_M),
                            .v = ebb_params_flat(o->params, EBB_FLAT_V),
                            .size = ebb_params_size(o->params),
                            .groups = o->groups,
                            .n_groups = o->n_groups,
                            .most_norm = &o->numbers[MOST_NORM],
                            .square_sum = &o->numbers[SQUARE_SUM],
                            .tally = o->tally};
  EBB_TRY(o->kernels->square_sum(o->device, update.grad, update.size, &o->numbers[PARTIALS],
                                 &o->numbers[SQUARE_SUM]));
  return o->kernels->update(o->device, &update);
}

EbbStatus ebb_optimizer_norm(EbbOptimizer *o, double *norm) {
  double square_sum = 0;
  EBB_TRY(ebb_device_read(o->device, &square_sum, &o->numbers[SQUARE_SUM], sizeof square_sum));
  *norm = sqrt(square_sum);
  return EBB_OK;
}

/* ---- gradients that are not finite */

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
