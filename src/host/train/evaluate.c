/* Evaluation of a split. */
#include <stdio.h>
#include <stdlib.h>

#include "host/train/experiment.h"

static const char *const split_names[EBB_SPLITS] = {"train", "val", "test"};

/* The largest rate * step that cells met in a split. */
typedef struct Met {
  int n, layer[EBB_RATES];
  double most[EBB_RATES], limit;
} Met;

static EbbStatus note_rate(const Recorded *recorded, EbbValue value, double *most) {
  const EbbShape shape = ebb_graph_shape(recorded->graph, value);
  const int64_t size = ebb_shape_size(&shape);
  float *rate = malloc((size_t)size * sizeof *rate + 1);
  if (!rate) return ebb_fail(EBB_MEMORY, "no memory for %lld rates", (long long)size);
  const EbbStatus status = ebb_graph_read(recorded->graph, value, rate);
  for (int64_t i = 0; i < size && status == EBB_OK; i++)
    if ((double)rate[i] > *most) *most = (double)rate[i];
  free(rate);
  return status;
}

static EbbStatus note_rates(const Recorded *recorded, Met *met) {
  const EbbRates *rates = &recorded->values.rates;
  met->n = rates->n, met->limit = rates->limit;
  for (int i = 0; i < rates->n; i++) {
    met->layer[i] = rates->layer[i];
    EBB_TRY(note_rate(recorded, rates->met[i], &met->most[i]));
  }
  return EBB_OK;
}

static void warn(const Met *met, EbbSplit split, const EbbWatcher *watcher) {
  char line[256];
  for (int i = 0; i < met->n && watcher->line; i++) {
    if (met->most[i] <= met->limit) continue;
    snprintf(line, sizeof line,
             "warning: layer %d met rate x step = %.3g on %s, and its solver is unstable beyond %.3g: more "
             "unfolds, or model.layer.unstable=fall_back",
             met->layer[i], met->most[i], split_names[split], met->limit);
    watcher->line(watcher->context, line);
  }
}

static EbbStatus evaluate_batch(EbbExperiment *experiment, const EbbBatch *batch, Met *met) {
  Recorded *recorded = NULL;
  EBB_TRY(ebb_experiment_graph(experiment, batch->rows, batch->length, false, &recorded));
  EBB_TRY(ebb_experiment_feed(recorded, batch));
  EbbRun run = {.device = experiment->device, .seed = experiment->seed};
  EBB_TRY(stepper_run(&experiment->stepper, recorded, &run, STEP_ENDS_WITHOUT_UPDATE));
  return note_rates(recorded, met);
}

static EbbStatus evaluate_all(EbbExperiment *experiment, EbbLoader *loader, EbbSplit split,
                              const EbbWatcher *watcher, EbbTally *tally) {
  const EbbTally nothing = {0};
  EBB_TRY(ebb_tally_write(experiment->device, experiment->stepper.evaluation, &nothing));
  Met met = {0};
  int64_t batches = ebb_loader_batches(loader);
  if (split == EBB_VALIDATION) {
    int64_t limit = ebb_config_integer_or(experiment->config, "trainer.limit_val_batches", batches);
    if (limit < batches) batches = limit;
  }
  for (int64_t i = 0; i < batches; i++) {
    if (watcher->stop && watcher->stop(watcher->context))
      return ebb_fail(EBB_INTERRUPTED, "stopped while evaluating");
    const EbbBatch *batch = NULL;
    EBB_TRY(ebb_loader_batch(loader, 0, i, &batch));
    EBB_TRY(evaluate_batch(experiment, batch, &met));
    if (watcher->batch) watcher->batch(watcher->context, split_names[split], i + 1, batches, NULL);
  }
  warn(&met, split, watcher);
  return ebb_tally_read(experiment->device, experiment->stepper.evaluation, tally);
}

EbbStatus ebb_experiment_evaluate(EbbExperiment *experiment, EbbSplit split, const EbbWatcher *watcher,
                                  EbbScores *out) {
  static const EbbWatcher nobody = {0};
  EbbTally tally = {0};
  EbbLoader *loader = NULL;
  EBB_TRY(ebb_experiment_loader(experiment, split, false, &loader));
  EbbStatus status = averages_swap_in(&experiment->averages);
  if (status == EBB_OK) {
    status = evaluate_all(experiment, loader, split, watcher ? watcher : &nobody, &tally);
    EbbStatus back = averages_swap_out(&experiment->averages);
    if (status == EBB_OK) status = back;
  }
  ebb_loader_destroy(loader);
  *out = ebb_tally_scores(&tally, &experiment->scoring);
  return status;
}
