/* ebb eval */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "cli.h"
#include "run_folder.h"
#include "settings.h"
#include "terminal.h"
#include "watch.h"

enum { SPLIT, JSON };

static const CliOption options[] = {
    [SPLIT] = {.name = "split",
               .kind = CLI_CHOICE,
               .value = "SPLIT",
               .initial = "test",
               .choices = "train|val|test", /* in the order of EbbSplit */
               .help = "samples to evaluate"},
    [JSON] = {.name = "json", .kind = CLI_FLAG, .help = "print one line of JSON instead of text"},
};

typedef struct Result {
  const char *checkpoint, *split;
  bool classes, per_step;
  EbbScores scores;
  double majority;
  int32_t majority_label;
} Result;

static void print_text(const Result *r) {
  terminal_field(stdout, "checkpoint", "%s", r->checkpoint);
  terminal_field(stdout, r->per_step ? "steps" : "samples", "%s of split %s",
                 terminal_count(r->scores.samples).text, r->split);
  terminal_field(stdout, "loss", "%.4f", r->scores.loss);
  if (!r->classes) {
    for (EbbMetricKind kind = EBB_METRIC_RMSE; kind <= EBB_METRIC_MAE; kind++)
      terminal_field(stdout, ebb_metric(kind)->heading, "%.4f", r->scores.metric[kind]);
    return;
  }
  if (r->scores.kind == EBB_METRIC_F1) terminal_field(stdout, "F1", "%.4f", r->scores.score);
  double accuracy = r->scores.metric[EBB_METRIC_ACCURACY], difference = 100 * (accuracy - r->majority);
  terminal_field(stdout, "accuracy", "%s%.2f %%%s", terminal_colour(stdout, TERMINAL_BOLD), 100 * accuracy,
                 terminal_plain(stdout));
  terminal_field(stdout, "baseline", "%.2f %% by always answering class %d", 100 * r->majority,
                 (int)r->majority_label);
  terminal_field(stdout, "difference", "%s%+.2f points%s",
                 terminal_colour(stdout, difference > 0 ? TERMINAL_GREEN : TERMINAL_RED), difference,
                 terminal_plain(stdout));
}

/* F1 stands beside the accuracy where the task asks for it. */
static bool shown(const Result *r, EbbMetricKind kind) {
  const bool of_classes = kind == EBB_METRIC_ACCURACY || kind == EBB_METRIC_F1;
  return of_classes == r->classes && (kind != EBB_METRIC_F1 || r->scores.kind == EBB_METRIC_F1);
}

static EbbStatus print_json(const Result *r) {
  cJSON *line = cJSON_CreateObject();
  cJSON_AddStringToObject(line, "checkpoint", r->checkpoint);
  cJSON_AddStringToObject(line, "split", r->split);
  cJSON_AddNumberToObject(line, "samples", (double)r->scores.samples);
  cJSON_AddNumberToObject(line, "loss", r->scores.loss);
  for (EbbMetricKind kind = EBB_METRIC_ACCURACY; kind < EBB_METRICS; kind++)
    if (shown(r, kind)) cJSON_AddNumberToObject(line, ebb_metric(kind)->name, r->scores.metric[kind]);
  if (r->classes) {
    cJSON_AddNumberToObject(line, "majority", r->majority);
    cJSON_AddNumberToObject(line, "majority_label", r->majority_label);
  }
  char *text = cJSON_PrintUnformatted(line);
  cJSON_Delete(line);
  if (!text) return ebb_fail(EBB_MEMORY, "no memory for a line of JSON");
  puts(text);
  cJSON_free(text);
  return EBB_OK;
}

static EbbStatus evaluate(EbbExperiment *experiment, EbbSplit split, Result *result) {
  EBB_TRY(ebb_experiment_load(experiment, result->checkpoint));
  const EbbDataset *dataset = ebb_experiment_dataset(experiment);
  Watch watch;
  EBB_TRY(watch_create(&watch, stderr));
  EbbStatus status = ebb_experiment_evaluate(experiment, split, &watch.watcher, &result->scores);
  watch_destroy(&watch);
  result->classes = dataset->n_classes > 0;
  result->per_step = dataset->per_step;
  if (result->classes) result->majority = ebb_dataset_majority(dataset, split, &result->majority_label);
  return status;
}

static EbbStatus run(CliArguments *arguments) {
  EbbSplit split = (EbbSplit)arguments->value[SPLIT].integer;
  char checkpoint[CLI_PATH_BYTES];
  EBB_TRY(run_checkpoint(arguments->operand[0], checkpoint));
  EbbConfig *config = NULL;
  EBB_TRY(settings_from_checkpoint(arguments, checkpoint, &config));
  EbbExperiment *experiment = NULL;
  watch_signals("stopping");
  EbbStatus status = watch_experiment(config, &experiment);
  ebb_config_destroy(config);
  EBB_TRY(status);
  Result result = {.checkpoint = checkpoint, .split = arguments->value[SPLIT].text};
  status = evaluate(experiment, split, &result);
  ebb_experiment_destroy(experiment);
  EBB_TRY(status);
  if (arguments->value[JSON].flag) return print_json(&result);
  print_text(&result);
  return EBB_OK;
}

const CliCommand cli_eval = {
    .name = "eval",
    .synopsis = "RUN|CHECKPOINT [KEY=VALUE...] [OPTION...]",
    .summary = "evaluate a checkpoint on a split of its data set",
    .details =
        "Evaluates a checkpoint, of a run folder best.safetensors (last.safetensors if there is none), "
        "with the configuration stored in it. Beside the accuracy stands the majority-class baseline: "
        "the share of the split's most frequent class.",
    .examples = "ebb eval runs/quickstart-listops-1\n"
                "ebb eval runs/quickstart-listops-1 --split val --json\n"
                "ebb eval last.safetensors dataset.data_dir=data/listops device=cpu",
    .options = options,
    .n_options = CLI_COUNT(options),
    .operand = "a RUN folder or a CHECKPOINT",
    .least = 1,
    .most = 1,
    .settings = true,
    .run = run,
};
