/* The training loop. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ebb/file.h"
#include "ebb/metrics.h"
#include "ebb/optim.h"
#include "ebb/scalar.h"
#include "ebb/schedule.h"
#include "host/train/experiment.h"

enum { PATH_BYTES = 4096 };
static const double LOOK_SECONDS = 0.2;

/* One training run. */
typedef struct Training {
  EbbExperiment *experiment;
  const char *folder;
  const EbbWatcher *watcher;
  EbbLoader *loader;
  EbbMetricsLog *log;
  char *config_yaml;
  EbbTrainState state;
  EbbTally tally; /* of the running epoch, as last read from the device */
  double looked;  /* when that was, in seconds */
  EbbAdamW adamw;
  EbbSchedule schedule;
  EbbPlateau plateau;
  int64_t batches; /* an epoch */
  int64_t accumulate, max_epochs, max_steps, checkpoint_every, log_every, validate_every, swa_start;
  double clip;
  bool validates;
} Training;

static bool stop_asked(const Training *t) {
  return t->watcher->stop && t->watcher->stop(t->watcher->context);
}
static bool finished(const Training *t) {
  return t->state.epoch >= t->max_epochs || (t->max_steps > 0 && t->state.step >= t->max_steps);
}

/* ---- checkpoints ---- */

static void path_in(const Training *t, const char *name, char path[PATH_BYTES]) {
  snprintf(path, PATH_BYTES, "%s/%s", t->folder, name);
}

/* After a look that found everything finite. */
static EbbStatus save(Training *t, const char *name) {
  char path[PATH_BYTES];
  path_in(t, name, path);
  EbbTrainState *s = &t->state;
  const double *scores = t->tally.scores;
  s->epoch_loss = t->tally.loss, s->epoch_weight = t->tally.weight;
  s->epoch_correct = scores[EBB_SCORE_CORRECT];
  s->epoch_true_positive = scores[EBB_SCORE_TRUE_POSITIVE];
  s->epoch_false_positive = scores[EBB_SCORE_FALSE_POSITIVE];
  s->epoch_false_negative = scores[EBB_SCORE_FALSE_NEGATIVE];
  s->plateau_best = t->plateau.best, s->plateau_factor = t->plateau.factor,
  s->plateau_bad_epochs = t->plateau.bad_epochs;
  EbbAverage averages[EBB_MOST_AVERAGES];
  int count = averages_list(&t->experiment->averages, averages);
  s->averaged = t->experiment->averages.swa_count;
  EBB_TRY(ebb_metrics_flush(t->log));
  return ebb_checkpoint_save(path, t->experiment->params, s, t->config_yaml, averages, count);
}

static EbbStatus restore(Training *t) {
  char path[PATH_BYTES];
  path_in(t, "last.safetensors", path);
  EbbTrainState *s = &t->state;
  EbbAverage averages[EBB_MOST_AVERAGES];
  int count = averages_list(&t->experiment->averages, averages);
  EBB_TRY(ebb_checkpoint_load(path, t->experiment->params, s, averages, count));
  if (s->seed != t->experiment->seed)
    return ebb_fail(EBB_MISMATCH,
                    "%s was trained with train.seed=%llu, not %llu; resume with the run's own configuration",
                    path, (unsigned long long)s->seed, (unsigned long long)t->experiment->seed);
  ebb_params_bump(t->experiment->params);
  t->tally = (EbbTally){.loss = s->epoch_loss,
                        .scores = {[EBB_SCORE_CORRECT] = s->epoch_correct,
                                   [EBB_SCORE_TRUE_POSITIVE] = s->epoch_true_positive,
                                   [EBB_SCORE_FALSE_POSITIVE] = s->epoch_false_positive,
                                   [EBB_SCORE_FALSE_NEGATIVE] = s->epoch_false_negative},
                        .weight = s->epoch_weight,
                        .batches = s->batch};
  t->plateau =
      (EbbPlateau){.best = s->plateau_best, .factor = s->plateau_factor, .bad_epochs = s->plateau_bad_epochs};
  t->experiment->averages.swa_count = s->averaged;
  return EBB_OK;
}

/* ---- one step ---- */

/* Whether the micro-batch at `batch` completes an optimiser step: the last ones of an epoch may be fewer. */
static bool completes_step(const Training *t, int64_t batch) {
  return (batch + 1) % t->accumulate == 0 || batch + 1 == t->batches;
}

static int64_t batches_in_step(const Training *t, int64_t batch) {
  int64_t first = batch / t->accumulate * t->accumulate;
  return first + t->accumulate <= t->batches ? t->accumulate : t->batches - first;
}

static EbbRun run_of(const Training *t, int64_t batch) {
  return (EbbRun){.device = t->experiment->device,
                  .training = true,
                  .seed = t->experiment->seed,
                  .step = (uint64_t)(t->state.epoch * t->batches + batch)};
}

/* Brings a batch of this epoch to its graph. */
static EbbStatus feed(Training *t, int64_t index, Recorded **recorded) {
  const EbbBatch *batch = NULL;
  EBB_TRY(ebb_loader_batch(t->loader, t->state.epoch, index, &batch));
  EBB_TRY(ebb_experiment_graph(t->experiment, batch->rows, batch->length, true, recorded));
  return ebb_experiment_feed(*recorded, batch);
}

static EbbStatus set_rates(Training *t) {
  const double factor = ebb_schedule_factor(&t->schedule, t->state.step, t->state.epoch, &t->plateau);
  return ebb_optimizer_set(t->experiment->stepper.optimizer, &t->adamw, t->state.step + 1, factor, t->clip);
}

static EbbStatus micro_step(Training *t, bool completes) {
  Stepper *stepper = &t->experiment->stepper;
  Recorded *recorded = NULL;
  EBB_TRY(feed(t, t->state.batch, &recorded));
  EBB_TRY(stepper_set_loss_gradient(stepper, 1.0F / (float)batches_in_step(t, t->state.batch)));
  if (completes) EBB_TRY(set_rates(t));
  const EbbRun run = run_of(t, t->state.batch);
  EBB_TRY(stepper_run(stepper, recorded, &run, completes ? STEP_ENDS_WITH_UPDATE : STEP_ENDS_WITHOUT_UPDATE));
  t->state.batch++;
  if (completes) t->state.step++;
  return EBB_OK;
}

/* ---- losses and gradients that are not finite ---- */

/* Optimiser steps done before a batch of this epoch. */
static int64_t steps_before(const Training *t, int64_t batch) {
  return t->state.step - t->state.batch / t->accumulate + batch / t->accumulate -
         (t->state.batch == t->batches && t->batches % t->accumulate ? 1 : 0);
}

/* Repeats the forward pass node by node to name the node that made the first NaN or infinity. */
static EbbStatus explain_loss(const Training *t, Recorded *recorded, const EbbRun *run, int64_t batch) {
  float loss = 0;
  EBB_TRY(ebb_graph_forward(recorded->graph, run));
  EBB_TRY(ebb_graph_read(recorded->graph, recorded->values.loss, &loss));
  EbbStatus found = ebb_graph_find_nonfinite(recorded->graph, run);
  char where[1024];
  snprintf(where, sizeof where, "%s", found == EBB_OK ? "no node in a repeated forward pass" : ebb_error());
  return ebb_fail(EBB_NUMERIC,
                  "the loss is %s at step %lld (epoch %lld, batch %lld); first: %s. The last checkpoint is "
                  "kept; try a smaller learning rate or trainer.gradient_clip_val",
                  ebb_nonfinite_name((double)loss), (long long)steps_before(t, batch),
                  (long long)t->state.epoch, (long long)batch, where);
}

/* Repeats the batch to name the parameter whose gradient is not finite. */
static EbbStatus explain_gradient(const Training *t, Recorded *recorded, const EbbRun *run, int64_t batch) {
  EbbParams *params = t->experiment->params;
  EBB_TRY(ebb_params_zero_grad(params));
  EBB_TRY(ebb_graph_forward(recorded->graph, run));
  EBB_TRY(ebb_graph_copy_grad(recorded->graph, recorded->values.loss, t->experiment->stepper.loss_gradient));
  EBB_TRY(ebb_graph_backward(recorded->graph, run));
  const EbbStatus found = ebb_grad_check(params, INFINITY);
  char where[1024];
  snprintf(where, sizeof where, "%s", found == EBB_OK ? "the gradients are not finite" : ebb_error());
  return ebb_fail(EBB_NUMERIC,
                  "at step %lld (epoch %lld, batch %lld): %s. The last checkpoint is kept; try a smaller "
                  "learning rate or trainer.gradient_clip_val",
                  (long long)steps_before(t, batch), (long long)t->state.epoch, (long long)batch, where);
}

static EbbStatus explain_failure(Training *t) {
  const int64_t batch = t->tally.failed_batch;
  const EbbRun run = run_of(t, batch);
  Recorded *recorded = NULL;
  EBB_TRY(feed(t, batch, &recorded));
  return (t->tally.failure == EBB_TALLY_LOSS ? explain_loss : explain_gradient)(t, recorded, &run, batch);
}

static double seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Reads what the epoch has come to; a GPU finishes its work first. */
static EbbStatus look(Training *t) {
  EBB_TRY(ebb_tally_read(t->experiment->device, t->experiment->stepper.tally, &t->tally));
  t->looked = seconds();
  return t->tally.failure == EBB_TALLY_FINE ? EBB_OK : explain_failure(t);
}

/* Whether to look after a batch although nothing asks for it: always where that costs nothing, and now and
   then for the progress bar. */
static bool look_anyway(const Training *t) {
  return !ebb_device_records(t->experiment->device) || seconds() - t->looked > LOOK_SECONDS;
}

static EbbStatus start_tally(Training *t) {
  return ebb_tally_write(t->experiment->device, t->experiment->stepper.tally, &t->tally);
}

/* ---- reporting ---- */

static const char *short_score_name(const Training *t) {
  return ebb_metric(t->experiment->scoring.metric)->label;
}

/* Writes loss, metric and the metrics that stand beside it for a split's name. */
static EbbStatus log_scores(const Training *t, const char *split, const EbbScores *scores, int64_t epoch) {
  EbbMetric metrics[1 + EBB_METRICS];
  char name[1 + EBB_METRICS][32];
  int n = 0;
  for (int kind = 0; kind < EBB_METRICS; kind++) {
    if (!ebb_metric_is_shown((EbbMetricKind)kind, t->experiment->scoring.metric)) continue;
    snprintf(name[n], sizeof name[n], "%s/%s", split, ebb_metric((EbbMetricKind)kind)->name);
    metrics[n] = (EbbMetric){name[n], scores->metric[kind]};
    n++;
  }
  return ebb_metrics_write(t->log, t->state.step, epoch, metrics, n);
}

static void tell_batch(const Training *t) {
  if (!t->watcher->batch) return;
  char label[64], note[96];
  EbbScores scores = ebb_tally_scores(&t->tally, &t->experiment->scoring);
  snprintf(label, sizeof label, "epoch %lld/%lld", (long long)t->state.epoch + 1, (long long)t->max_epochs);
  snprintf(note, sizeof note, "loss %.4f  %s %.4f", scores.loss, short_score_name(t), scores.score);
  t->watcher->batch(t->watcher->context, label, t->state.batch, t->batches, note);
}

static EbbStatus log_step(Training *t) {
  EBB_TRY(look(t));
  double lr = t->adamw.lr * ebb_schedule_factor(&t->schedule, t->state.step - 1, t->state.epoch, &t->plateau);
  const EbbMetric metrics[] = {{"train/batch_loss", t->tally.last_loss}, {"train/lr", lr}};
  return ebb_metrics_write(t->log, t->state.step, t->state.epoch, metrics, 2);
}

/* ---- epochs ---- */

static EbbStatus after_update(Training *t) {
  bool last_of_epoch = t->state.batch == t->batches;
  if (t->state.step % t->log_every == 0) EBB_TRY(log_step(t));
  if (last_of_epoch || !t->checkpoint_every || t->state.step % t->checkpoint_every) return EBB_OK;
  EBB_TRY(look(t));
  return save(t, "last.safetensors");
}

static EbbStatus stop_early(Training *t) {
  EBB_TRY(look(t));
  EBB_TRY(save(t, "last.safetensors"));
  return ebb_fail(EBB_INTERRUPTED,
                  "stopped at step %lld; %s/last.safetensors is written: continue with --resume %s",
                  (long long)t->state.step, t->folder, t->folder);
}

static EbbStatus run_epoch(Training *t) {
  while (t->state.batch < t->batches) {
    bool completes = completes_step(t, t->state.batch);
    EBB_TRY(micro_step(t, completes));
    if (look_anyway(t)) EBB_TRY(look(t));
    tell_batch(t);
    if (!completes) continue;
    EBB_TRY(after_update(t));
    if (t->max_steps > 0 && t->state.step >= t->max_steps) return EBB_OK;
    if (t->state.batch < t->batches && stop_asked(t)) return stop_early(t);
  }
  return EBB_OK;
}

static EbbStatus validate(Training *t, int64_t epoch, char *line, size_t size) {
  EbbScores scores;
  EbbWatcher patient = *t->watcher; /* a stop waits for the epoch's checkpoint */
  patient.stop = NULL;
  EBB_TRY(ebb_experiment_evaluate(t->experiment, EBB_VALIDATION, &patient, &scores));
  EBB_TRY(log_scores(t, "val", &scores, epoch));
  double value = ebb_monitored(&t->experiment->scoring, &scores);
  bool whole_epoch = t->state.batch == 0; /* max_steps may end a run inside one, which may go on later */
  if (whole_epoch) ebb_plateau_update(&t->schedule, &t->plateau, value);
  bool best = t->state.best_epoch < 0 || value > t->state.best_score;
  size_t used = strlen(line);
  snprintf(line + used, size - used, "   val loss %.4f %s %.4f%s", scores.loss, short_score_name(t),
           scores.score, best ? "  best" : "");
  if (!best) return EBB_OK;
  t->state.best_score = value, t->state.best_epoch = epoch;
  return save(t, "best.safetensors");
}

/* A run that max_steps ends inside an epoch keeps its place there, so that it can go on with more steps. */
static EbbStatus close_epoch(Training *t) {
  if (t->state.batch < t->batches) return EBB_OK;
  if (t->swa_start >= 0 && t->state.epoch >= t->swa_start)
    EBB_TRY(averages_after_epoch(&t->experiment->averages));
  t->tally = (EbbTally){0};
  t->state.epoch++, t->state.batch = 0;
  return start_tally(t);
}

static EbbStatus end_epoch(Training *t) {
  EBB_TRY(look(t));
  EbbScores train = ebb_tally_scores(&t->tally, &t->experiment->scoring);
  char line[256];
  int digits = snprintf(NULL, 0, "%lld", (long long)t->max_epochs);
  snprintf(line, sizeof line, "epoch %*lld/%lld   train loss %.4f %s %.4f", digits,
           (long long)t->state.epoch + 1, (long long)t->max_epochs, train.loss, short_score_name(t),
           train.score);
  EBB_TRY(log_scores(t, "train", &train, t->state.epoch));
  const int64_t epoch = t->state.epoch;
  EBB_TRY(close_epoch(t));
  if (t->validates && ((epoch + 1) % t->validate_every == 0 || finished(t)))
    EBB_TRY(validate(t, epoch, line, sizeof line));
  EBB_TRY(save(t, "last.safetensors"));
  if (t->watcher->line) t->watcher->line(t->watcher->context, line);
  return EBB_OK;
}

static EbbStatus run_all(Training *t) {
  while (!finished(t)) {
    EBB_TRY(run_epoch(t));
    EBB_TRY(end_epoch(t));
    if (!finished(t) && stop_asked(t)) return stop_early(t);
  }
  return EBB_OK;
}

/* ---- begin and end ---- */

/* Monitored values are turned so that higher is better. */
static EbbSchedule schedule_of(const EbbConfig *config) {
  EbbSchedule schedule = {.kind = (EbbScheduleKind)ebb_config_choice(config, "scheduler._name_"),
                          .warmup = ebb_config_integer(config, "scheduler.num_warmup_steps"),
                          .total = ebb_config_integer(config, "scheduler.num_training_steps"),
                          .gamma = ebb_config_number(config, "scheduler.gamma"),
                          .patience = ebb_config_integer(config, "scheduler.patience"),
                          .factor = ebb_config_number(config, "scheduler.factor"),
                          .threshold = 1e-4,
                          .maximise = true};
  schedule.milestones = ebb_config_integers(config, "scheduler.milestones", &schedule.n_milestones);
  return schedule;
}

static EbbStatus read_settings(Training *t) {
  const EbbConfig *config = t->experiment->config;
  enum { ADAMW, ADAM }; /* in the order of the key's choices; Adam is AdamW without decay */
  const bool plain_adam = ebb_config_choice(config, "optimizer._name_") == ADAM;
  t->adamw = (EbbAdamW){.lr = ebb_config_number(config, "optimizer.lr"),
                        .weight_decay = plain_adam ? 0 : ebb_config_number(config, "optimizer.weight_decay"),
                        .beta1 = ebb_config_number(config, "optimizer.beta1"),
                        .beta2 = ebb_config_number(config, "optimizer.beta2"),
                        .eps = ebb_config_number(config, "optimizer.eps")};
  t->schedule = schedule_of(config);
  EBB_TRY(ebb_schedule_check(&t->schedule));
  t->plateau = ebb_plateau_start();
  t->accumulate = ebb_config_integer(config, "trainer.accumulate_grad_batches");
  t->max_epochs = ebb_config_integer(config, "trainer.max_epochs");
  t->max_steps = ebb_config_integer_or(config, "trainer.max_steps", 0);
  t->checkpoint_every = ebb_config_integer(config, "trainer.checkpoint_every_n_steps");
  t->log_every = ebb_config_integer(config, "trainer.log_every_n_steps");
  t->validate_every = ebb_config_integer(config, "trainer.val_check_interval_epochs");
  t->swa_start = ebb_config_integer_or(config, "trainer.swa_start_epoch", -1);
  t->clip = ebb_config_number(config, "trainer.gradient_clip_val");
  t->validates = t->experiment->dataset->split[EBB_VALIDATION].n_samples > 0 &&
                 ebb_config_integer_or(config, "trainer.limit_val_batches", 1) > 0;
  if (t->schedule.kind == EBB_SCHEDULE_PLATEAU && !t->validates)
    return ebb_fail(EBB_INVALID,
                    "scheduler._name_=plateau watches the validation, and there is none: choose another "
                    "scheduler, or see trainer.limit_val_batches");
  int64_t limit = ebb_config_integer_or(config, "trainer.limit_train_batches", 0);
  t->batches = ebb_loader_batches(t->loader);
  if (limit > 0 && limit < t->batches) t->batches = limit;
  return EBB_OK;
}

static EbbStatus check_folder(const Training *t, bool resume) {
  char path[PATH_BYTES];
  if (strlen(t->folder) > PATH_BYTES - 64)
    return ebb_fail(EBB_INVALID, "the run folder's name has more than %d characters", PATH_BYTES - 64);
  path_in(t, "last.safetensors", path);
  bool there = ebb_file_exists(path);
  if (resume && !there)
    return ebb_fail(EBB_STATE, "%s holds no run to resume: %s is missing", t->folder, path);
  if (!resume && there)
    return ebb_fail(
        EBB_STATE,
        "%s holds a run already; continue it with --resume %s, or choose another folder with run_dir=...",
        t->folder, t->folder);
  EBB_TRY(ebb_folder_create(t->folder));
  return ebb_folder_check_writable(t->folder);
}

static EbbStatus write_config(const Training *t) {
  char path[PATH_BYTES];
  path_in(t, "config.yaml", path);
  EbbFileWriter *writer = NULL;
  EBB_TRY(ebb_file_writer_create(path, &writer));
  EbbStatus status = ebb_file_writer_write(writer, t->config_yaml, strlen(t->config_yaml));
  if (status == EBB_OK) status = ebb_file_writer_commit(writer);
  ebb_file_writer_destroy(writer);
  return status;
}

static EbbStatus begin(Training *t, bool resume) {
  EBB_TRY(check_folder(t, resume));
  EBB_TRY(ebb_experiment_loader(t->experiment, EBB_TRAIN, true, &t->loader));
  EBB_TRY(read_settings(t));
  EBB_TRY(ebb_config_yaml(t->experiment->config, &t->config_yaml));
  t->state = (EbbTrainState){.seed = t->experiment->seed, .best_epoch = -1};
  if (resume) EBB_TRY(restore(t));
  EBB_TRY(write_config(t));
  EBB_TRY(ebb_params_zero_grad(t->experiment->params));
  EBB_TRY(stepper_begin_training(&t->experiment->stepper, t->experiment->params));
  EBB_TRY(start_tally(t));
  return ebb_metrics_open(t->folder, resume ? t->state.step : -1, &t->log);
}

EbbStatus ebb_experiment_train(EbbExperiment *experiment, const char *folder, bool resume,
                               const EbbWatcher *watcher) {
  static const EbbWatcher nobody = {0};
  Training t = {.experiment = experiment, .folder = folder, .watcher = watcher ? watcher : &nobody};
  EbbStatus status = begin(&t, resume);
  if (status == EBB_OK) status = run_all(&t);
  ebb_metrics_close(t.log);
  ebb_loader_destroy(t.loader);
  free(t.config_yaml);
  return status;
}

EbbStatus ebb_experiment_load(EbbExperiment *experiment, const char *checkpoint) {
  EbbTrainState state;
  EbbAverage averages[EBB_MOST_AVERAGES];
  int count = averages_list(&experiment->averages, averages);
  EBB_TRY(ebb_checkpoint_load(checkpoint, experiment->params, count ? &state : NULL, averages, count));
  if (count) experiment->averages.swa_count = state.averaged;
  ebb_params_bump(experiment->params);
  return EBB_OK;
}
