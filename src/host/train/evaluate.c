/* Evaluation of a split. */
#include <math.h>
#include <stdio.h>

#include "host/train/experiment.h"

static const char *const split_names[EBB_SPLITS] = {"train", "val", "test"};

static EbbStatus evaluate_batch(EbbExperiment *experiment, const EbbBatch *batch, EbbTotals *totals) {
  Recorded *recorded = NULL;
  EBB_TRY(ebb_experiment_graph(experiment, batch->rows, batch->length, false, &recorded));
  EBB_TRY(ebb_experiment_feed(recorded, batch));
  EbbRun run = {.device = experiment->device, .seed = experiment->seed};
  EBB_TRY(ebb_graph_forward(recorded->graph, &run));
  return ebb_totals_add(totals, recorded, batch->n_valid);
}

EbbStatus ebb_totals_add(EbbTotals *totals, Recorded *recorded, int64_t n_valid) {
  float loss = 0, correct = 0;
  EBB_TRY(ebb_graph_read(recorded->graph, recorded->values.loss, &loss));
  if (recorded->values.correct != EBB_NO_VALUE)
    EBB_TRY(ebb_graph_read(recorded->graph, recorded->values.correct, &correct));
  totals->loss += (double)loss * (double)n_valid;
  totals->correct += (double)correct;
  totals->weight += (double)n_valid;
  totals->last_loss = (double)loss;
  return EBB_OK;
}

EbbScores ebb_totals_scores(const EbbTotals *totals, EbbLoss kind) {
  double weight = totals->weight > 0 ? totals->weight : 1;
  EbbScores scores = {.loss = totals->loss / weight, .samples = (int64_t)totals->weight};
  scores.score = kind == EBB_LOSS_CROSS_ENTROPY ? totals->correct / weight : sqrt(scores.loss);
  return scores;
}

static EbbStatus evaluate_all(EbbExperiment *experiment, EbbLoader *loader, EbbSplit split,
                              const EbbWatcher *watcher, EbbTotals *totals) {
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
    EBB_TRY(evaluate_batch(experiment, batch, totals));
    if (watcher->batch) watcher->batch(watcher->context, split_names[split], i + 1, batches, NULL);
  }
  return EBB_OK;
}

EbbStatus ebb_experiment_evaluate(EbbExperiment *experiment, EbbSplit split, const EbbWatcher *watcher,
                                  EbbScores *out) {
  static const EbbWatcher nobody = {0};
  EbbTotals totals = {0};
  EbbLoader *loader = NULL;
  EBB_TRY(ebb_experiment_loader(experiment, split, false, &loader));
  EbbStatus status = averages_swap_in(&experiment->averages);
  if (status == EBB_OK) {
    status = evaluate_all(experiment, loader, split, watcher ? watcher : &nobody, &totals);
    EbbStatus back = averages_swap_out(&experiment->averages);
    if (status == EBB_OK) status = back;
  }
  ebb_loader_destroy(loader);
  *out = ebb_totals_scores(&totals, experiment->model.loss);
  return status;
}
