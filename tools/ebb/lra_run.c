#include "lra_run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ebb/file.h"
#include "run_folder.h"

/* Source: Hasani et al. 2022, "Liquid Structural State-Space Models", table 1, Liquid-S4. */
const LraTask lra_tasks[LRA_TASKS] = {
    {"listops", "ListOps", 62.75, true, false},
    {"imdb", "IMDB", 89.02, true, false},
    {"aan", "AAN", 91.20, true, false},
    {"cifar", "CIFAR", 89.50, false, true},
    {"pathfinder", "Pathfinder", 94.8, true, false},
    {"pathx", "Path-X", 96.66, true, false},
};
const double lra_published_average = 87.32;

const LraKernel lra_kernels[LRA_KERNELS] = {
    {"null", {NULL}, false},
    {"polyb", {NULL}, false},
    {"kb", {NULL}, false},
    {"series", {NULL}, true},
    {"scan", {"model.layer.mode=diag", "model.layer.measure=diag-lin", NULL}, true},
};

enum { MOST_RESULT_BYTES = 1 << 16 };

/* ---- what is to be run ---- */

void lra_experiment(const LraRun *run, char name[CLI_PATH_BYTES]) {
  snprintf(name, CLI_PATH_BYTES, "lra/s4-lra-%s%s", run->task->name,
           run->fixed && run->task->has_fixed ? "-fixed" : "");
}

static void add(LraSettings *settings, const char *format, const char *value) {
  snprintf(settings->text[settings->n++], LRA_SETTING_BYTES, format, value);
}

static EbbStatus apply(EbbConfig *config, const LraSettings *settings, int from) {
  for (int i = from; i < settings->n; i++) EBB_TRY(ebb_config_override(config, settings->text[i]));
  return EBB_OK;
}

static void settings_of_kernel(const LraRun *run, LraSettings *settings) {
  add(settings, "model.layer.liquid_kernel=%s", run->kernel->name);
  for (int i = 0; run->kernel->settings[i]; i++) add(settings, "%s", run->kernel->settings[i]);
  if (run->kernel->causal && run->task->two_way) add(settings, "model.layer.bidirectional=%s", "false");
}

static EbbStatus configure(LraRun *run, const CliArguments *arguments, LraSettings *settings) {
  char name[CLI_PATH_BYTES], seed[32];
  lra_experiment(run, name);
  EBB_TRY(ebb_config_create(&run->config));
  EBB_TRY(ebb_config_load_experiment(run->config, name));
  settings_of_kernel(run, settings);
  snprintf(seed, sizeof seed, "%lld", (long long)run->seed);
  if (run->seed >= 0) add(settings, "train.seed=%s", seed);
  EBB_TRY(apply(run->config, settings, 0));
  for (int i = 0; i < arguments->n_settings; i++)
    EBB_TRY(ebb_config_override(run->config, arguments->setting[i]));
  return EBB_OK;
}

EbbStatus lra_prepare(LraRun *run, const char *runs, const CliArguments *arguments, LraSettings *settings) {
  settings->n = 0;
  EBB_TRY(configure(run, arguments, settings));
  run->seed = ebb_config_integer(run->config, "train.seed");
  const int used =
      snprintf(run->folder, sizeof run->folder, "%s/%s%s-%s-%lld", runs, run->task->name,
               run->fixed && run->task->has_fixed ? "-fixed" : "", run->kernel->name, (long long)run->seed);
  if (used >= (int)sizeof run->folder)
    return ebb_fail(EBB_INVALID, "the name of folder '%.60s...' is too long", runs);
  const int before = settings->n;
  add(settings, "run_dir=%s", run->folder);
  return apply(run->config, settings, before);
}

void lra_release(LraRun *run) {
  ebb_config_destroy(run->config);
  run->config = NULL;
}

/* ---- lra.json ---- */

static EbbStatus write_result(const LraRun *run, bool finished) {
  char path[CLI_PATH_BYTES];
  EBB_TRY(run_path(run->folder, "lra.json", path));
  EbbFileWriter *writer = NULL;
  EBB_TRY(ebb_file_writer_create(path, &writer));
  EbbStatus status = ebb_file_writer_print(
      writer, "{\"finished\": %s, \"accuracy\": %.17g, \"seconds\": %.17g, \"samples\": %.17g}\n",
      finished ? "true" : "false", run->accuracy, run->seconds, run->samples);
  if (status == EBB_OK) status = ebb_file_writer_commit(writer);
  ebb_file_writer_destroy(writer);
  return status;
}

static EbbStatus parse_result(LraRun *run, const char *path, const char *text, bool *finished) {
  cJSON *json = cJSON_Parse(text);
  const cJSON *done = cJSON_GetObjectItemCaseSensitive(json, "finished");
  const cJSON *numbers[] = {cJSON_GetObjectItemCaseSensitive(json, "accuracy"),
                            cJSON_GetObjectItemCaseSensitive(json, "seconds"),
                            cJSON_GetObjectItemCaseSensitive(json, "samples")};
  bool whole = cJSON_IsBool(done);
  for (int i = 0; i < 3; i++) whole &= cJSON_IsNumber(numbers[i]);
  if (whole) {
    *finished = cJSON_IsTrue(done);
    run->accuracy = numbers[0]->valuedouble;
    run->seconds = numbers[1]->valuedouble, run->samples = numbers[2]->valuedouble;
  }
  cJSON_Delete(json);
  return whole ? EBB_OK
               : ebb_fail(EBB_FORMAT, "%s: the file is damaged; remove it to test the run again", path);
}

static EbbStatus read_result(LraRun *run, bool *finished) {
  char path[CLI_PATH_BYTES], *text;
  size_t length;
  *finished = false;
  EBB_TRY(run_path(run->folder, "lra.json", path));
  if (!ebb_file_exists(path)) return EBB_OK;
  EBB_TRY(ebb_file_read(path, MOST_RESULT_BYTES, &text, &length));
  const EbbStatus status = parse_result(run, path, text, finished);
  free(text);
  return status;
}

/* ---- a folder that is there already ---- */

/* The same settings give the same text. */
static EbbStatus check_settings(const LraRun *run) {
  char path[CLI_PATH_BYTES], *there, *wanted = NULL;
  size_t length;
  EBB_TRY(run_path(run->folder, "config.yaml", path));
  if (!ebb_file_exists(path)) return EBB_OK;
  EBB_TRY(ebb_file_read(path, (size_t)1 << 24, &there, &length));
  EbbStatus status = ebb_config_yaml(run->config, &wanted);
  if (status == EBB_OK && strcmp(there, wanted) != 0)
    status =
        ebb_fail(EBB_STATE,
                 "%s holds a run with other settings; give these settings another folder with --runs, or "
                 "remove that run",
                 run->folder);
  free(there);
  free(wanted);
  return status;
}

EbbStatus lra_look(LraRun *run, bool *finished) {
  EBB_TRY(check_settings(run));
  return read_result(run, finished);
}

/* ---- the work ---- */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Optimiser steps of the last checkpoint; 0 without one. */
static EbbStatus steps_done(const LraRun *run, bool *there, int64_t *steps) {
  char last[CLI_PATH_BYTES];
  EbbTrainState state;
  *steps = 0;
  EBB_TRY(run_path(run->folder, "last.safetensors", last));
  *there = ebb_file_exists(last);
  if (!*there) return EBB_OK;
  EBB_TRY(run_state(last, &state));
  *steps = state.step;
  return EBB_OK;
}

static EbbStatus test(LraRun *run, EbbExperiment *experiment, Watch *watch) {
  char checkpoint[CLI_PATH_BYTES];
  EbbScores scores;
  EBB_TRY(run_checkpoint(run->folder, checkpoint));
  EBB_TRY(ebb_experiment_load(experiment, checkpoint));
  EBB_TRY(ebb_experiment_evaluate(experiment, EBB_TEST, &watch->watcher, &scores));
  run->accuracy = scores.metric[EBB_METRIC_ACCURACY];
  return EBB_OK;
}

/* Adds an attempt to the run's account, however the attempt ended. */
static EbbStatus account(LraRun *run, int64_t steps_before, double seconds) {
  int64_t steps;
  bool there;
  EBB_TRY(steps_done(run, &there, &steps));
  run->seconds += seconds;
  run->samples += (double)((steps - steps_before) * ebb_config_integer(run->config, "loader.batch_size") *
                           ebb_config_integer(run->config, "trainer.accumulate_grad_batches"));
  return EBB_OK;
}

static EbbStatus train_and_test(LraRun *run, EbbExperiment *experiment, Watch *watch) {
  int64_t steps;
  bool resume;
  EBB_TRY(steps_done(run, &resume, &steps));
  const double begin = now();
  EbbStatus status = ebb_experiment_train(experiment, run->folder, resume, &watch->watcher);
  const bool stopped = status == EBB_INTERRUPTED;
  if (status != EBB_OK && !stopped) return status;
  char said[1024];
  snprintf(said, sizeof said, "%s", ebb_error());
  EBB_TRY(account(run, steps, now() - begin));
  EBB_TRY(write_result(run, false));
  if (stopped) return ebb_fail(EBB_INTERRUPTED, "%s", said);
  EBB_TRY(test(run, experiment, watch));
  return write_result(run, true);
}

EbbStatus lra_work(LraRun *run, Watch *watch) {
  EbbExperiment *experiment = NULL;
  int claim = -1;
  EBB_TRY(ebb_experiment_create(run->config, &experiment));
  EbbStatus status = run_folder_claim(run->folder, &claim);
  if (status == EBB_OK && ebb_experiment_dataset(experiment)->split[EBB_TEST].n_samples < 1)
    status = ebb_fail(EBB_INVALID, "the data set has no test split");
  if (status == EBB_OK) status = train_and_test(run, experiment, watch);
  run_folder_release(claim);
  ebb_experiment_destroy(experiment);
  return status;
}
