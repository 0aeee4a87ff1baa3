/* ebb train */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "ebb/file.h"
#include "run_folder.h"
#include "settings.h"
#include "terminal.h"
#include "watch.h"

enum { RESUME, CONFIG };

static const CliOption options[] = {
    [RESUME] = {.name = "resume",
                .kind = CLI_TEXT,
                .value = "RUN",
                .help = "continue the run in this folder with its own configuration; settings change it"},
    [CONFIG] = SETTINGS_CONFIG_OPTION,
};

/* What this training works in. */
typedef struct Job {
  CliArguments *arguments;
  EbbConfig *config;
  EbbExperiment *experiment;
  char folder[CLI_PATH_BYTES];
  bool resume;
  int claim;
  Watch watch;
} Job;

static void print_data(const EbbDataset *dataset) {
  const EbbSamples *split = dataset->split;
  terminal_field(stdout, "data", "%s: %s training, %s validation, %s test samples", dataset->name,
                 terminal_count(split[EBB_TRAIN].n_samples).text,
                 terminal_count(split[EBB_VALIDATION].n_samples).text,
                 terminal_count(split[EBB_TEST].n_samples).text);
  bool measured = dataset->n_classes && split[EBB_VALIDATION].n_samples;
  if (!measured) return;
  int32_t label = 0;
  double share = ebb_dataset_majority(dataset, EBB_VALIDATION, &label);
  terminal_field(stdout, "baseline", "%.1f %% of validation by always answering class %d", 100 * share,
                 (int)label);
}

static void print_schedule(const EbbConfig *config) {
  static const char *const names[] = {"constant", "cosine after warm-up", "cosine after warm-up, clamped",
                                      "multistep", "plateau"};
  static const char *const optimisers[] = {"AdamW", "Adam"};
  char steps[80] = "";
  if (!ebb_config_is_null(config, "trainer.max_steps"))
    snprintf(steps, sizeof steps, ", at most %s steps",
             terminal_count(ebb_config_integer(config, "trainer.max_steps")).text);
  terminal_field(stdout, "schedule", "%lld epochs%s, batches of %lld",
                 (long long)ebb_config_integer(config, "trainer.max_epochs"), steps,
                 (long long)ebb_config_integer(config, "loader.batch_size"));
  terminal_field(
      stdout, "optimiser", "%s, rate %g, %s", optimisers[ebb_config_choice(config, "optimizer._name_")],
      ebb_config_number(config, "optimizer.lr"), names[ebb_config_choice(config, "scheduler._name_")]);
}

static void print_header(const Job *job) {
  const EbbParams *params = ebb_experiment_params(job->experiment);
  terminal_field(stdout, "device", "%s", ebb_device_description(ebb_experiment_device(job->experiment)));
  print_data(ebb_experiment_dataset(job->experiment));
  terminal_field(stdout, "parameters", "%s", terminal_count(ebb_params_trained(params)).text);
  print_schedule(job->config);
  terminal_field(stdout, "run folder", "%s", job->folder);
  (void)fputc('\n', stdout);
  (void)fflush(stdout);
}

static void print_metric(const char *field, EbbMetricKind kind, double value, const char *where) {
  if (kind == EBB_METRIC_ACCURACY)
    terminal_field(stdout, field, "%.2f %% accuracy %s", 100 * value, where);
  else
    terminal_field(stdout, field, "%s %.6g %s", ebb_metric(kind)->heading, value, where);
}

/* The monitored value is kept negative where less is better. */
static void print_score(const Job *job, const EbbTrainState *state) {
  char where[64];
  snprintf(where, sizeof where, "on validation, epoch %lld", (long long)state->best_epoch + 1);
  const EbbMetricKind kind = ebb_experiment_monitor(job->experiment);
  print_metric("best", kind, ebb_metric(kind)->more_is_better ? state->best_score : -state->best_score,
               where);
}

/* The test split with the weights of the best epoch. */
static EbbStatus print_test(Job *job, const char *checkpoint) {
  if (ebb_experiment_dataset(job->experiment)->split[EBB_TEST].n_samples < 1) return EBB_OK;
  EbbScores scores;
  EBB_TRY(ebb_experiment_load(job->experiment, checkpoint));
  EBB_TRY(ebb_experiment_evaluate(job->experiment, EBB_TEST, &job->watch.watcher, &scores));
  print_metric("test", scores.kind, scores.score, "with the checkpoint");
  return EBB_OK;
}

static void print_best(const Job *job, const char *checkpoint) {
  EbbTrainState state;
  if (run_state(checkpoint, &state) != EBB_OK) return;
  if (state.best_epoch >= 0) print_score(job, &state);
}

static void print_next(const Job *job, const char *checkpoint) {
  terminal_field(stdout, "checkpoint", "%s", checkpoint);
  terminal_field(stdout, "next", "%s eval %s", program_invocation_name, job->folder);
  terminal_field(stdout, "", "%s plot %s", program_invocation_name, job->folder);
}

static EbbStatus print_end(Job *job) {
  char checkpoint[CLI_PATH_BYTES];
  EBB_TRY(run_checkpoint(job->folder, checkpoint));
  (void)fputc('\n', stdout);
  print_best(job, checkpoint);
  EBB_TRY(print_test(job, checkpoint));
  print_next(job, checkpoint);
  return EBB_OK;
}

static EbbStatus choose_folder(Job *job) {
  const char *wanted = ebb_config_string(job->config, "run_dir");
  if (wanted) return run_folder_name(wanted, job->folder);
  const char *name = settings_experiment(job->arguments);
  return run_folder_new(name ? name : "run", job->folder);
}

/* A run that was killed before its first checkpoint starts again. */
static EbbStatus check_resume(Job *job) {
  char last[CLI_PATH_BYTES];
  EbbTrainState state;
  EBB_TRY(run_path(job->folder, "last.safetensors", last));
  if (!ebb_file_exists(last)) {
    job->resume = false;
    printf("%s has no checkpoint yet: starting from the beginning\n", job->folder);
    return EBB_OK;
  }
  EBB_TRY(run_state(last, &state));
  int64_t epochs = ebb_config_integer(job->config, "trainer.max_epochs");
  bool bounded = !ebb_config_is_null(job->config, "trainer.max_steps");
  int64_t steps = bounded ? ebb_config_integer(job->config, "trainer.max_steps") : INT64_MAX;
  bool all_steps = state.step >= steps;
  if (state.epoch < epochs && !all_steps) return EBB_OK;
  return ebb_fail(EBB_STATE,
                  "%s is finished after %lld epochs and %lld steps; to train on, add a larger "
                  "trainer.max_%s=...",
                  job->folder, (long long)state.epoch, (long long)state.step, all_steps ? "steps" : "epochs");
}

static EbbStatus work(Job *job) {
  if (job->resume) EBB_TRY(check_resume(job));
  watch_signals("stopping");
  EBB_TRY(watch_experiment(job->config, &job->experiment));
  if (!*job->folder) EBB_TRY(choose_folder(job));
  EBB_TRY(run_folder_claim(job->folder, &job->claim));
  print_header(job);
  EBB_TRY(watch_create(&job->watch, stdout));
  watch_signals("stopping after a checkpoint");
  EBB_TRY(ebb_experiment_train(job->experiment, job->folder, job->resume, &job->watch.watcher));
  return print_end(job);
}

static EbbStatus check_same_folder(CliArguments *arguments) {
  static const char key[] = "run_dir=";
  for (int i = 0; i < arguments->n_settings; i++)
    if (strncmp(arguments->setting[i], key, sizeof key - 1) == 0)
      return cli_misuse(arguments, "--resume names the run's folder; run_dir cannot be given too");
  return EBB_OK;
}

static EbbStatus configure(Job *job) {
  const CliValue *value = job->arguments->value;
  const char *run = value[RESUME].text, *file = value[CONFIG].text;
  if (run && file)
    return cli_misuse(job->arguments, "--resume takes its configuration from the run, not --config");
  if (run) {
    EBB_TRY(check_same_folder(job->arguments));
    job->resume = true;
    EBB_TRY(run_folder_name(run, job->folder));
    return settings_from_run(job->arguments, run, &job->config);
  }
  if (!file && !settings_experiment(job->arguments))
    return cli_misuse(job->arguments, "ebb train needs experiment=NAME, --config FILE or --resume RUN");
  return settings_from_experiment(job->arguments, file, &job->config);
}

static EbbStatus run(CliArguments *arguments) {
  Job job = {.arguments = arguments, .claim = -1};
  EbbStatus status = configure(&job);
  if (status == EBB_OK) status = work(&job);
  watch_destroy(&job.watch);
  run_folder_release(job.claim);
  ebb_experiment_destroy(job.experiment);
  ebb_config_destroy(job.config);
  return status;
}

const CliCommand cli_train = {
    .name = "train",
    .synopsis = "experiment=NAME [KEY=VALUE...] [OPTION...]",
    .summary = "train an experiment, or continue a run",
    .details = "Trains an experiment: experiment=NAME reads experiments/NAME.yaml, and KEY=VALUE changes a "
               "setting (`ebb keys` lists them). The run's files go to the folder run_dir=..., by default "
               "runs/NAME-1, -2, ...: the configuration, metrics, and the checkpoints best.safetensors and "
               "last.safetensors. Ctrl-C stops after a checkpoint.",
    .examples = "ebb train experiment=quickstart/listops\n"
                "ebb train experiment=lra/s4-lra-imdb model.layer.liquid_kernel=polyb\n"
                "ebb train --resume runs/quickstart-listops-1 trainer.max_epochs=20",
    .options = options,
    .n_options = CLI_COUNT(options),
    .settings = true,
    .run = run,
};
