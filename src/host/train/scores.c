#include "host/train/scores.h"

#include <math.h>

static const struct {
  EbbMetricFacts facts;
  EbbMetricKind beside; /* the metric that is shown too */
} metrics[EBB_METRICS] = {
    [EBB_METRIC_LOSS] = {{"loss", "loss", "loss", false}, EBB_METRIC_LOSS},
    [EBB_METRIC_ACCURACY] = {{"accuracy", "acc", "accuracy", true}, EBB_METRIC_ACCURACY},
    [EBB_METRIC_F1] = {{"f1", "f1", "F1", true}, EBB_METRIC_ACCURACY},
    [EBB_METRIC_RMSE] = {{"rmse", "rmse", "RMSE", false}, EBB_METRIC_MAE},
    [EBB_METRIC_MSE] = {{"mse", "mse", "MSE", false}, EBB_METRIC_MAE},
    [EBB_METRIC_MAE] = {{"mae", "mae", "MAE", false}, EBB_METRIC_RMSE},
};

const EbbMetricFacts *ebb_metric(EbbMetricKind kind) { return &metrics[kind].facts; }

bool ebb_metric_is_shown(EbbMetricKind kind, EbbMetricKind metric) {
  return kind == EBB_METRIC_LOSS || kind == metric || kind == metrics[metric].beside;
}

Scoring ebb_scoring(const EbbConfig *config, EbbLoss loss) {
  /* In the order of the keys' choices; LOSS stands for auto. */
  static const EbbMetricKind of_metric[] = {EBB_METRIC_LOSS, EBB_METRIC_ACCURACY, EBB_METRIC_RMSE,
                                            EBB_METRIC_MSE,  EBB_METRIC_F1,       EBB_METRIC_MAE};
  static const EbbMetricKind of_monitor[] = {EBB_METRIC_LOSS, EBB_METRIC_ACCURACY, EBB_METRIC_LOSS,
                                             EBB_METRIC_RMSE, EBB_METRIC_F1,       EBB_METRIC_MSE,
                                             EBB_METRIC_MAE};
  const bool classes = loss == EBB_LOSS_CROSS_ENTROPY;
  Scoring scoring = {.loss = loss, .metric = of_metric[ebb_config_choice(config, "task.metrics")]};
  if (scoring.metric == EBB_METRIC_LOSS) scoring.metric = classes ? EBB_METRIC_ACCURACY : EBB_METRIC_RMSE;
  const int monitor = ebb_config_choice(config, "train.monitor");
  scoring.monitor = monitor == 0 && classes ? scoring.metric : of_monitor[monitor];
  return scoring;
}

static double f1(const double *scores) {
  const double tp = scores[EBB_SCORE_TRUE_POSITIVE];
  const double precision = tp / (tp + scores[EBB_SCORE_FALSE_POSITIVE] + 1e-5);
  const double recall = tp / (tp + scores[EBB_SCORE_FALSE_NEGATIVE] + 1e-5);
  return 2 * precision * recall / (precision + recall + 1e-6);
}

EbbScores ebb_tally_scores(const EbbTally *tally, const Scoring *scoring) {
  const double weight = tally->weight > 0 ? tally->weight : 1;
  EbbScores scores = {
      .loss = tally->loss / weight, .kind = scoring->metric, .samples = (int64_t)tally->weight};
  for (int kind = 0; kind < EBB_METRICS; kind++) scores.metric[kind] = NAN;
  scores.metric[EBB_METRIC_LOSS] = scores.loss;
  if (scoring->loss == EBB_LOSS_CROSS_ENTROPY) {
    scores.metric[EBB_METRIC_ACCURACY] = tally->scores[EBB_SCORE_CORRECT] / weight;
    scores.metric[EBB_METRIC_F1] = f1(tally->scores);
  } else {
    scores.metric[EBB_METRIC_MSE] = scores.loss;
    scores.metric[EBB_METRIC_RMSE] = sqrt(scores.loss);
    scores.metric[EBB_METRIC_MAE] = tally->scores[EBB_SCORE_ABSOLUTE] / weight;
  }
  scores.score = scores.metric[scoring->metric];
  return scores;
}

double ebb_monitored(const Scoring *scoring, const EbbScores *scores) {
  const double value = scores->metric[scoring->monitor];
  return metrics[scoring->monitor].facts.more_is_better ? value : -value;
}
