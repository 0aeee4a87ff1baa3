/* Learning on flat parameter buffers: the AdamW step, gradient norm and checks, and averages of the
   parameters. */
#ifndef EBB_OPTIM_H
#define EBB_OPTIM_H

#include <stdint.h>

#include "ebb/params.h"
#include "ebb/scalar.h"
#include "ebb/tally.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbAdamW {
  double lr, weight_decay, beta1, beta2, eps; /* published: betas 0.9 and 0.999, eps 1e-8 */
} EbbAdamW;

/* What one group's update multiplies with; ebb_adamw_rates makes it. */
typedef struct EbbAdamWRates {
  float grad_scale, beta1, beta2, one_minus_beta1, one_minus_beta2;
  float decay;             /* lr weight_decay */
  float step;              /* lr / (1 - beta1^t) */
  float inverse_root_bias; /* 1 / sqrt(1 - beta2^t) */
  float eps;
} EbbAdamWRates;

/* Update `step` (counted from 1) of a group with learning rate lr and decay weight_decay, gradients as they
   are. */
static inline EbbAdamWRates ebb_adamw_rates(const EbbAdamW *config, double lr, double weight_decay,
                                            int64_t step) {
  EbbAdamWRates r;
  r.grad_scale = 1.0f;
  r.beta1 = (float)config->beta1, r.one_minus_beta1 = (float)(1 - config->beta1);
  r.beta2 = (float)config->beta2, r.one_minus_beta2 = (float)(1 - config->beta2);
  r.decay = (float)(lr * weight_decay);
  r.step = (float)(lr / (1 - pow(config->beta1, (double)step)));
  r.inverse_root_bias = (float)(1 / sqrt(1 - pow(config->beta2, (double)step)));
  r.eps = (float)config->eps;
  return r;
}

/* One element: m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p = p (1 - lr wd) - lr mhat /
   (sqrt(vhat) + eps). Returns the new p. Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay
   Regularization", algorithm 2. */
EBB_INLINE float ebb_adamw_update(const EbbAdamWRates *r, float p, float gradient, float *m, float *v) {
  float g = gradient * r->grad_scale;
  *m = r->beta1 * *m + r->one_minus_beta1 * g;
  *v = r->beta2 * *v + r->one_minus_beta2 * g * g;
  /* One subtraction: 1 - lr wd rounded to float would lose digits of a small decay. */
  return p - (r->decay * p + r->step * *m / (sqrtf(*v) * r->inverse_root_bias + r->eps));
}

/* An AdamW over all parameters, with what it needs in device memory. */
typedef struct EbbOptimizer EbbOptimizer;

/* tally (device memory, may be NULL) takes the norms, and batches whose loss was not finite in it stop the
   updates; see ebb/tally.h. Lifetime: params and tally outlive it. Errors: STATE before ebb_params_place,
   UNSUPPORTED backend, MEMORY. */
EbbStatus ebb_optimizer_create(EbbParams *params, EbbTally *tally, EbbOptimizer **out) EBB_MUST_CHECK;
void ebb_optimizer_destroy(EbbOptimizer *optimizer);

/* The rates of the updates that follow, in the order of the device's work: each group's own learning rate and
   decay where it has them, times lr_factor; groups with own rate 0 stand still. `step` counts updates from 1;
   gradients of a norm above most_norm (0: no limit) are scaled down to it. Errors: INVALID for settings out
   of range. */
EbbStatus ebb_optimizer_set(EbbOptimizer *optimizer, const EbbAdamW *config, int64_t step, double lr_factor,
                            double most_norm) EBB_MUST_CHECK;

/* One update: the gradients' norm, the step of every group, constraints, gradients back to zero. Where the
   norm is not finite, or tally has failed already, nothing at all is changed. On a GPU it does not wait and
   can be recorded. */
EbbStatus ebb_optimizer_update(EbbOptimizer *optimizer) EBB_MUST_CHECK;

/* The norm that the latest update found; waits for it. */
EbbStatus ebb_optimizer_norm(EbbOptimizer *optimizer, double *norm) EBB_MUST_CHECK;

/* What gradients of this norm are multiplied by to have at most norm `most` (most <= 0: no limit).
   Source: torch.nn.utils.clip_grad_norm_, with its 1e-6. */
EBB_INLINE double ebb_grad_clip_scale(double norm, double most) {
  const double scale = most / (norm + 1e-6);
  return most > 0 && scale < 1 ? scale : 1;
}

/* Errors: NUMERIC, naming the first parameter with a NaN or infinite gradient, the element and how many it
   has. `norm` is ebb_optimizer_norm's: where it is finite nothing is read. */
EbbStatus ebb_grad_check(EbbParams *params, double norm) EBB_MUST_CHECK;

/* A copy of the parameters in device memory (ebb_params_size floats, the flat buffers' offsets), to average
   into; free with ebb_device_free. Errors: STATE before ebb_params_place, MEMORY. */
EbbStatus ebb_average_create(EbbParams *params, float **average) EBB_MUST_CHECK;

/* average += weight (parameters - average): weight 1 - decay gives an exponential average (EMA), 1 / (n + 1)
   after n updates the plain mean (SWA). */
EbbStatus ebb_average_update(EbbParams *params, float *average, double weight) EBB_MUST_CHECK;

/* Exchanges parameters and average: once before an evaluation with the average, once after. */
EbbStatus ebb_average_swap(EbbParams *params, float *average) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
