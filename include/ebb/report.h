/* What the neurons of a trained model of recurrent cells do on data: effective time constants, states, and
   the bounds that the equations set them. Source of the bounds: Hasani et al. 2021, "Liquid Time-constant
   Networks", theorems 1 and 2. */
#ifndef EBB_REPORT_H
#define EBB_REPORT_H

#include "ebb/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Everything of one neuron over all samples and steps; time constants in the solver's last sub-step of each.
   Their unit is that of elapsed times, but a sub-step for the fused ltc_aaai, whose cm_t holds the sub-step's
   length. Bounds that are not known are NAN, and then nothing violates them and nothing is saturated. */
typedef struct EbbNeuronReport {
  int64_t unit;                        /* of the layer's state */
  const char *group;                   /* "motor", "command", "inter"; "units" without a wiring */
  double tau_min, tau_median, tau_max; /* 1 / rate; NAN: the cell does not know it */
  double tau_low, tau_high;            /* bounds */
  double state_min, state_max;
  double state_low, state_high; /* bounds */
  double saturated;             /* share of steps within 1 % of the bounds' distance from one of them */
  int64_t tau_violations, state_violations; /* steps beyond a bound by more than rounding explains */
} EbbNeuronReport;

typedef struct EbbLayerReport {
  char cell[32];
  int64_t n;
  EbbNeuronReport *neuron; /* (n) */
  double h_lambda;         /* largest sub-step * rate; NAN: not known */
  double limit;            /* of the explicit solver's stability; 0: the solver has none */
  float *tau;              /* (kept, n) time constants at steps evenly spread over all */
  int64_t kept;
} EbbLayerReport;

typedef struct EbbReport {
  int64_t samples, steps, n_layers;
  EbbLayerReport *layer;
  EbbConfig *config; /* what the layers' cells were made from */
} EbbReport;

/* Runs the first `samples` samples of a split through the model of a checkpoint, step by step. config: the
   checkpoint's. Errors: UNSUPPORTED (a model without recurrent cells), INVALID (empty split), those of
   loading, INTERRUPTED (watcher's stop). Lifetime: ebb_report_destroy. */
EbbStatus ebb_report_create(const EbbConfig *config, const char *checkpoint, EbbSplit split, int64_t samples,
                            const EbbWatcher *watcher, EbbReport **out) EBB_MUST_CHECK;
void ebb_report_destroy(EbbReport *report);

/* Draws a histogram of time constants a layer, by groups of neurons, into a .png or .svg file. Errors:
   INVALID (another ending; no layer knows time constants), those of ebb_plot_runs. */
EbbStatus ebb_report_draw(const EbbReport *report, const char *picture) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
