#include "ebb/report.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/stream.h"
#include "host/report/report_internal.h"
#include "host/train/experiment.h"

enum { MOST_KEPT = 4096 }; /* steps whose time constants are kept for medians and pictures */

/* The kept steps are every stride-th one; where they are full, every second goes and the stride doubles. */
typedef struct Job {
  EbbExperiment *experiment;
  EbbReport *report;
  EbbStream *stream;
  int64_t stride;
} Job;

/* ---- one step ---- */

/* How far rounding may carry a sum over a layer's synapses. */
static double slack(const EbbCell *cell) { return (cell->states + cell->inputs + 32) * (double)FLT_EPSILON; }

static bool beyond(double value, double low, double high, double tolerance) {
  const double scale = tolerance * fmax(fabs(low), fabs(high));
  return value < low - scale || value > high + scale;
}

static void take_state(EbbNeuronReport *n, double state, double tolerance) {
  const double margin = 0.01 * (n->state_high - n->state_low);
  n->state_min = fmin(n->state_min, state), n->state_max = fmax(n->state_max, state);
  if (isnan(n->state_low)) return;
  n->state_violations += beyond(state, n->state_low, n->state_high, tolerance);
  n->saturated += state < n->state_low + margin || state > n->state_high - margin;
}

static void take_rate(EbbNeuronReport *n, double rate, double tolerance) {
  const double tau = 1 / rate;
  n->tau_min = fmin(n->tau_min, tau), n->tau_max = fmax(n->tau_max, tau);
  if (!isnan(n->tau_low)) n->tau_violations += beyond(rate, 1 / n->tau_high, 1 / n->tau_low, tolerance);
}

/* The length of a solver's sub-step. The AAAI-21 code's fused one has it in cm_t. */
static double substep(const EbbCell *cell, double elapsed) {
  if (cell->rate_step > 0) return elapsed * (double)cell->rate_step;
  return strcmp(cell->name, "ltc_aaai") == 0 ? elapsed : elapsed / cell->repeat;
}

static void take_layer(const Job *job, int64_t i, double elapsed, bool keep) {
  EbbLayerReport *layer = &job->report->layer[i];
  const EbbCell *cell = job->experiment->model.cells->cell[i];
  EbbCellStream *stream = ebb_stream_cell(job->stream, i);
  const float *state = ebb_cell_stream_state(stream), *rate = ebb_cell_stream_rates(stream);
  const double tolerance = slack(cell), h = substep(cell, elapsed);
  for (int64_t j = 0; j < layer->n; j++) {
    take_state(&layer->neuron[j], (double)state[j], tolerance);
    if (!rate) continue;
    take_rate(&layer->neuron[j], (double)rate[j], tolerance);
    layer->h_lambda = fmax(layer->h_lambda, h * (double)rate[j]);
    if (keep) layer->tau[layer->kept * layer->n + j] = 1 / rate[j];
  }
  layer->kept += rate && keep;
}

static void thin_out(EbbReport *report) {
  for (int64_t i = 0; i < report->n_layers; i++) {
    EbbLayerReport *layer = &report->layer[i];
    for (int64_t k = 1; 2 * k < layer->kept; k++)
      memcpy(layer->tau + k * layer->n, layer->tau + 2 * k * layer->n, (size_t)layer->n * sizeof *layer->tau);
    layer->kept = (layer->kept + 1) / 2;
  }
}

static void take_step(Job *job, double elapsed) {
  EbbReport *report = job->report;
  const bool keep = report->steps % job->stride == 0;
  if (keep && report->steps / job->stride >= MOST_KEPT) {
    thin_out(report);
    job->stride *= 2;
  }
  for (int64_t i = 0; i < report->n_layers; i++)
    take_layer(job, i, elapsed, report->steps % job->stride == 0);
  report->steps++;
}

/* ---- samples ---- */

static EbbStatus run_sample(Job *job, const EbbSamples *samples, int64_t sample) {
  const int64_t d_input = job->experiment->dataset->d_input;
  ebb_stream_reset(job->stream);
  for (int64_t e = samples->offset[sample]; e < samples->offset[sample + 1]; e++) {
    const void *input = samples->tokens ? (const void *)(samples->tokens + e) : samples->values + e * d_input;
    const float *elapsed = samples->elapsed ? samples->elapsed + e : NULL;
    EBB_TRY(ebb_stream_step_after(job->stream, input, elapsed, NULL));
    take_step(job, elapsed ? (double)*elapsed : 1);
  }
  return EBB_OK;
}

static EbbStatus run_samples(Job *job, EbbSplit split, int64_t most, const EbbWatcher *watcher) {
  const EbbSamples *samples = &job->experiment->dataset->split[split];
  const int64_t n = samples->n_samples < most ? samples->n_samples : most;
  if (n < 1) return ebb_fail(EBB_INVALID, "the split has no samples to report on");
  for (int64_t s = 0; s < n; s++) {
    if (watcher && watcher->stop && watcher->stop(watcher->context))
      return ebb_fail(EBB_INTERRUPTED, "stopped while reporting");
    EBB_TRY(run_sample(job, samples, s));
    if (watcher && watcher->batch) watcher->batch(watcher->context, "report", s + 1, n, NULL);
  }
  job->report->samples = n;
  return EBB_OK;
}

/* ---- layers ---- */

static EbbStatus open_layer(const Job *job, int64_t i) {
  EbbLayerReport *layer = &job->report->layer[i];
  const EbbConfig *config = job->report->config;
  const EbbCell *cell = job->experiment->model.cells->cell[i];
  const int64_t units = ebb_config_integer(config, "model.d_model");
  const bool memory = ebb_cell_find_param(cell, "lstm.input_map.weight") >= 0 || !strcmp(cell->name, "lstm");
  char scope[64];
  *layer = (EbbLayerReport){.n = memory ? units : cell->states,
                            .h_lambda = cell->rate.width ? 0 : (double)NAN,
                            .limit = (double)cell->rate_limit};
  snprintf(layer->cell, sizeof layer->cell, "%s", cell->name);
  layer->neuron = calloc((size_t)layer->n, sizeof *layer->neuron);
  layer->tau = malloc((size_t)(MOST_KEPT * layer->n) * sizeof *layer->tau);
  if (!layer->neuron || !layer->tau)
    return ebb_fail(EBB_MEMORY, "no memory for a report on %lld neurons", (long long)layer->n);
  for (int64_t j = 0; j < layer->n; j++)
    layer->neuron[j] = (EbbNeuronReport){.unit = j,
                                         .tau_min = (double)INFINITY,
                                         .tau_max = -(double)INFINITY,
                                         .state_min = (double)INFINITY,
                                         .state_max = -(double)INFINITY,
                                         .tau_low = (double)NAN,
                                         .tau_high = (double)NAN,
                                         .state_low = (double)NAN,
                                         .state_high = (double)NAN};
  EBB_TRY(report_groups(cell, config, layer));
  snprintf(scope, sizeof scope, "layers.%lld.layer", (long long)i);
  return report_bounds(cell, config, job->experiment->params, scope, layer);
}

static int ascending(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void finish_layer(EbbLayerReport *layer, int64_t steps, float *column) {
  for (int64_t j = 0; j < layer->n; j++) {
    EbbNeuronReport *n = &layer->neuron[j];
    n->saturated = isnan(n->state_low) ? (double)NAN : n->saturated / (double)steps;
    for (int64_t k = 0; k < layer->kept; k++) column[k] = layer->tau[k * layer->n + j];
    qsort(column, (size_t)layer->kept, sizeof *column, ascending);
    n->tau_median = layer->kept ? (double)column[layer->kept / 2] : (double)NAN;
    if (!layer->kept) n->tau_min = n->tau_max = (double)NAN;
  }
}

static EbbStatus finish(EbbReport *report) {
  float *column = malloc(MOST_KEPT * sizeof *column);
  if (!column) return ebb_fail(EBB_MEMORY, "no memory for medians");
  for (int64_t i = 0; i < report->n_layers; i++) finish_layer(&report->layer[i], report->steps, column);
  free(column);
  return EBB_OK;
}

static EbbStatus open_layers(Job *job) {
  const EbbSequence *model = &job->experiment->model;
  if (!model->cells)
    return ebb_fail(EBB_UNSUPPORTED,
                    "the model has no recurrent cells, whose neurons a report is on (model.layer._name_)");
  job->report->n_layers = model->cells->n;
  job->report->layer = calloc((size_t)model->cells->n, sizeof *job->report->layer);
  if (!job->report->layer) return ebb_fail(EBB_MEMORY, "no memory for a report");
  for (int64_t i = 0; i < model->cells->n; i++) EBB_TRY(open_layer(job, i));
  return ebb_stream_create(job->experiment->params, model, 1, &job->stream);
}

/* With the weights that evaluation takes. */
static EbbStatus open_averaged(Job *job) {
  EBB_TRY(averages_swap_in(&job->experiment->averages));
  const EbbStatus status = open_layers(job), back = averages_swap_out(&job->experiment->averages);
  return status == EBB_OK ? back : status;
}

static EbbStatus make(Job *job, const EbbConfig *config, const char *checkpoint, EbbSplit split,
                      int64_t samples, const EbbWatcher *watcher) {
  EBB_TRY(ebb_config_copy(config, &job->report->config));
  EBB_TRY(ebb_config_override(job->report->config, "model.layer.rates=true"));
  EBB_TRY(ebb_experiment_create(job->report->config, &job->experiment));
  EBB_TRY(ebb_experiment_load(job->experiment, checkpoint));
  EBB_TRY(open_averaged(job));
  EBB_TRY(run_samples(job, split, samples, watcher));
  return finish(job->report);
}

EbbStatus ebb_report_create(const EbbConfig *config, const char *checkpoint, EbbSplit split, int64_t samples,
                            const EbbWatcher *watcher, EbbReport **out) {
  Job job = {.report = calloc(1, sizeof *job.report), .stride = 1};
  *out = NULL;
  if (!job.report) return ebb_fail(EBB_MEMORY, "no memory for a report");
  const EbbStatus status = make(&job, config, checkpoint, split, samples, watcher);
  ebb_stream_destroy(job.stream);
  ebb_experiment_destroy(job.experiment);
  if (status == EBB_OK)
    *out = job.report;
  else
    ebb_report_destroy(job.report);
  return status;
}

void ebb_report_destroy(EbbReport *report) {
  if (!report) return;
  for (int64_t i = 0; report->layer && i < report->n_layers; i++) {
    free(report->layer[i].neuron);
    free(report->layer[i].tau);
  }
  free(report->layer);
  ebb_config_destroy(report->config);
  free(report);
}
