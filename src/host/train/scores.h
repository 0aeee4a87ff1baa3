/* From the sums of a pass to metrics, and which of them a run goes by. */
#ifndef EBB_HOST_TRAIN_SCORES_H
#define EBB_HOST_TRAIN_SCORES_H

#include "ebb/tally.h"
#include "ebb/train.h"

typedef struct Scoring {
  EbbLoss loss;
  EbbMetricKind metric;  /* beside the loss */
  EbbMetricKind monitor; /* of the validation: picks the best epoch */
} Scoring;

/* From task.metrics and train.monitor, which ebb_sequence_from_config has checked. */
Scoring ebb_scoring(const EbbConfig *config, EbbLoss loss);

EbbScores ebb_tally_scores(const EbbTally *tally, const Scoring *scoring);

/* The monitored metric, turned so that higher is better. */
double ebb_monitored(const Scoring *scoring, const EbbScores *scores);

/* Whether `kind` is logged where the task's metric is `metric`: the loss, that metric, and what belongs to
 * it.
 */
bool ebb_metric_is_shown(EbbMetricKind kind, EbbMetricKind metric);

#endif
