/* Evaluation of a split. */
#include <stdio.h>

#include "host/train/experiment.h"

static const char *const split_names[EBB_SPLITS] = {"train", "val", "test"};

static EbbStatus evaluate_batch(EbbExperiment *experiment, const EbbBatch *batch) {
  Recorded *recorded = NULL;
  EBB_TRY(ebb_experiment_graph(experiment, batch->rows, batch->length, false, &recorded));
  EBB_TRY(ebb_experiment_feed(recorded, batch));
  EbbRun run = {.device = experiment->device, .seed = experiment->seed};
  return stepper_run(&experiment->stepper, recorded, &run, STEP_ENDS_WITHOUT_UPDATE);
}

static EbbStatus evaluate_all(EbbExperiment *experiment, EbbLoader *loader, EbbSplit split,
                              const EbbWatcher *watcher, EbbTally *tally) {
  const EbbTally nothing = {0};
  EBB_TRY(ebb_tally_write(experiment->device, experiment->stepper.evaluation, &nothing));
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
    EBB_TRY(evaluate_batch(experiment, batch));
    if (watcher->batch) watcher->batch(watcher->context, split_names[split], i + 1, batches, NULL);
  }
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
