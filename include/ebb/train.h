/* Training: an experiment's run from data to checkpoints and metrics. */
#ifndef EBB_TRAIN_H
#define EBB_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/checkpoint.h"
#include "ebb/config.h"
#include "ebb/data.h"
#include "ebb/loading.h"
#include "ebb/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a split is scored by. F1 = 2 P R / (P + R + 1e-6) of class 1 over all samples or steps, with P = tp /
   (tp
   + fp + 1e-5) and R = tp / (tp + fn + 1e-5). Source: the LTC paper's code. */
typedef enum EbbMetricKind {
  EBB_METRIC_LOSS,
  EBB_METRIC_ACCURACY,
  EBB_METRIC_F1,
  EBB_METRIC_RMSE,
  EBB_METRIC_MSE,
  EBB_METRIC_MAE,
  EBB_METRICS
} EbbMetricKind;

typedef struct EbbMetricFacts {
  const char *name;    /* as in val/accuracy */
  const char *label;   /* a short one for lines of text */
  const char *heading; /* for a field of its own */
  bool more_is_better;
} EbbMetricFacts;

const EbbMetricFacts *ebb_metric(EbbMetricKind kind);

/* A model with its data, parameters and graphs, ready to train or to evaluate. */
typedef struct EbbExperiment EbbExperiment;

/* How a configuration's device computes: sets its precision from trainer.matmul, and gives the type of
   activations from trainer.activations. Errors: UNSUPPORTED for bfloat16 activations on the CPU. */
EbbStatus ebb_numbers_from_config(const EbbConfig *config, EbbDevice *device,
                                  EbbDtype *activations) EBB_MUST_CHECK;

/* Loads data, builds the model, draws parameters. Lifetime: config is copied. Errors: those of every part. */
EbbStatus ebb_experiment_create(const EbbConfig *config, EbbExperiment **out) EBB_MUST_CHECK;
/* The same; loading tells how the data set comes along, and may be NULL. */
EbbStatus ebb_experiment_create_watched(const EbbConfig *config, const EbbLoading *loading,
                                        EbbExperiment **out) EBB_MUST_CHECK;
void ebb_experiment_destroy(EbbExperiment *experiment);
const EbbDataset *ebb_experiment_dataset(const EbbExperiment *experiment);
EbbParams *ebb_experiment_params(const EbbExperiment *experiment);
EbbDevice *ebb_experiment_device(const EbbExperiment *experiment);
/* What picks the best epoch: train.monitor. */
EbbMetricKind ebb_experiment_monitor(const EbbExperiment *experiment);

typedef struct EbbScores {
  double loss;
  EbbMetricKind kind;         /* of the task: task.metrics */
  double score;               /* metric[kind] */
  double metric[EBB_METRICS]; /* shares in 0..1; NAN where the targets have no such metric */
  int64_t samples;            /* steps, where every step has a target */
} EbbScores;

/* What evaluation and training tell while they work; any may be NULL. */
typedef struct EbbWatcher {
  void *context;
  void (*batch)(void *context, const char *label, int64_t done, int64_t total, const char *note);
  void (*line)(void *context, const char *text); /* something worth keeping on the screen */
  bool (*stop)(void *context);                   /* asked between steps */
} EbbWatcher;

/* Evaluates a split with the present parameters, every sample (unless the configuration drops or limits). */
EbbStatus ebb_experiment_evaluate(EbbExperiment *experiment, EbbSplit split, const EbbWatcher *watcher,
                                  EbbScores *out) EBB_MUST_CHECK;

/* Trains in `folder` (made if absent): config.yaml, metrics.jsonl, TensorBoard events, last.safetensors after
   every epoch (and every trainer.checkpoint_every_n_steps), best.safetensors on the best validation score.
   resume: continue from last.safetensors, bit-equal to an unbroken run on the same device and thread count.
   Errors: IO (folder not writable, disk full: the last good checkpoint stays), STATE (a run is in the folder
   already and resume was not asked, or the reverse), NUMERIC (loss or gradient not finite: step and node
   named, last good checkpoint kept), INTERRUPTED (watcher's stop; a checkpoint is written first), MISMATCH.
 */
EbbStatus ebb_experiment_train(EbbExperiment *experiment, const char *folder, bool resume,
                               const EbbWatcher *watcher) EBB_MUST_CHECK;

/* Loads the weights (and averages, if the run kept them) of a checkpoint for evaluation. */
EbbStatus ebb_experiment_load(EbbExperiment *experiment, const char *checkpoint) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
