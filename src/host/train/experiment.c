#include "host/train/experiment.h"

#include <stdlib.h>
#include <string.h>

/* Incomplete batches are filled up with empty rows: beyond the whole split they would only cost memory. */
static int64_t batch_size(const EbbExperiment *experiment, EbbSplit split, bool training) {
  const EbbConfig *config = experiment->config;
  int64_t rows = ebb_config_integer(config, "loader.batch_size");
  if (!training) rows = ebb_config_integer_or(config, "loader.eval_batch_size", rows);
  if (training && ebb_config_flag(config, "loader.drop_last")) return rows;
  int64_t samples = experiment->dataset->split[split].n_samples;
  return samples > 0 && rows > samples ? samples : rows;
}

EbbStatus ebb_experiment_loader(const EbbExperiment *experiment, EbbSplit split, bool training,
                                EbbLoader **out) {
  const EbbConfig *config = experiment->config;
  EbbLoaderConfig loader = {.batch_size = batch_size(experiment, split, training),
                            .shuffle = training && ebb_config_flag(config, "loader.shuffle"),
                            .drop_last = training && ebb_config_flag(config, "loader.drop_last"),
                            .bucket_quantum = ebb_config_integer(config, "loader.bucket_quantum"),
                            .sort_window = ebb_config_integer(config, "loader.sort_window"),
                            .l_max = ebb_config_integer_or(config, "dataset.l_max", 0),
                            .pad_to_l_max = ebb_config_flag(config, "loader.pad_to_l_max"),
                            .stride = ebb_config_integer(config, "dataset.subsample"),
                            .n_workers = ebb_config_integer(config, "loader.num_workers"),
                            .seed = experiment->seed};
  return ebb_loader_create(experiment->dataset, split, &loader, out);
}

static EbbStatus record(EbbExperiment *experiment, Recorded *entry) {
  EBB_TRY(ebb_graph_create(experiment->params, experiment->workspace, entry->training, &entry->graph));
  EBB_TRY(ebb_graph_store_activations(entry->graph, experiment->activations));
  return ebb_sequence_record(entry->graph, &experiment->model, entry->rows, entry->length, &entry->values);
}

EbbStatus ebb_experiment_graph(EbbExperiment *experiment, int64_t rows, int64_t length, bool training,
                               Recorded **out) {
  for (int i = 0; i < experiment->n_recorded; i++) {
    Recorded *entry = &experiment->recorded[i];
    if (entry->rows == rows && entry->length == length && entry->training == training) {
      *out = entry;
      return EBB_OK;
    }
  }
  if (experiment->n_recorded == experiment->capacity) {
    int capacity = 2 * experiment->capacity + 16;
    Recorded *recorded = realloc(experiment->recorded, (size_t)capacity * sizeof *recorded);
    if (!recorded) return ebb_fail(EBB_MEMORY, "no memory for graph %d", experiment->n_recorded);
    experiment->recorded = recorded, experiment->capacity = capacity;
  }
  Recorded *entry = &experiment->recorded[experiment->n_recorded];
  *entry = (Recorded){.rows = rows, .length = length, .training = training};
  EbbStatus status = record(experiment, entry);
  if (status != EBB_OK) {
    ebb_graph_destroy(entry->graph);
    return status;
  }
  experiment->n_recorded++;
  *out = entry;
  return EBB_OK;
}

static EbbStatus write_input(Recorded *recorded, EbbValue value, const void *host) {
  return value == EBB_NO_VALUE ? EBB_OK : ebb_graph_write(recorded->graph, value, host);
}

EbbStatus ebb_experiment_feed(Recorded *recorded, const EbbBatch *batch) {
  const EbbSequenceValues *values = &recorded->values;
  EBB_TRY(write_input(recorded, values->input, batch->tokens ? (const void *)batch->tokens : batch->values));
  EBB_TRY(write_input(recorded, values->lengths, batch->lengths));
  EBB_TRY(write_input(recorded, values->elapsed, batch->elapsed));
  EBB_TRY(
      write_input(recorded, values->labels, batch->labels ? (const void *)batch->labels : batch->targets));
  return write_input(recorded, values->weights, batch->weights);
}

/* The first graph declares the parameters; the longest one fixes the kernels' internal length. */
static EbbStatus build(EbbExperiment *experiment) {
  EbbLoader *loader = NULL;
  EBB_TRY(ebb_experiment_loader(experiment, EBB_TRAIN, true, &loader));
  int64_t longest = ebb_loader_longest(loader);
  ebb_loader_destroy(loader);
  EBB_TRY(ebb_params_create(experiment->device, &experiment->params));
  EBB_TRY(ebb_workspace_create(experiment->device, &experiment->workspace));
  Recorded *first = NULL;
  EBB_TRY(ebb_experiment_graph(experiment, batch_size(experiment, EBB_TRAIN, true), longest, true, &first));
  EBB_TRY(ebb_params_place(experiment->params, experiment->seed));
  EbbGraph *graph = experiment->recorded[0].graph;
  EBB_TRY(ebb_graph_init_params(graph));
  EBB_TRY(ebb_graph_layout(graph));
  EBB_TRY(averages_create(&experiment->averages, experiment->params,
                          ebb_config_number(experiment->config, "trainer.ema_decay"),
                          !ebb_config_is_null(experiment->config, "trainer.swa_start_epoch")));
  return stepper_create(&experiment->stepper, experiment->device, &experiment->averages);
}

EbbStatus ebb_numbers_from_config(const EbbConfig *config, EbbDevice *device, EbbDtype *activations) {
  static const EbbDtype types[] = {EBB_F32, EBB_BF16}; /* in the order of the choices, as EbbPrecision is */
  ebb_device_set_precision(device, (EbbPrecision)ebb_config_choice(config, "trainer.matmul"));
  *activations = types[ebb_config_choice(config, "trainer.activations")];
  if (*activations == EBB_F32 || ebb_device_backend(device) != EBB_CPU) return EBB_OK;
  return ebb_fail(EBB_UNSUPPORTED, "trainer.activations=bf16 needs a GPU; the CPU stores float32");
}

static EbbStatus open_parts(EbbExperiment *experiment, const EbbConfig *config, const EbbLoading *loading) {
  EBB_TRY(ebb_config_copy(config, &experiment->config));
  config = experiment->config;
  experiment->seed = (uint64_t)ebb_config_integer(config, "train.seed");
  EBB_TRY(ebb_device_open(ebb_config_string(config, "device"), (int)ebb_config_integer(config, "threads"),
                          &experiment->device));
  EBB_TRY(ebb_numbers_from_config(config, experiment->device, &experiment->activations));
  EBB_TRY(ebb_dataset_load_watched(config, loading, &experiment->dataset));
  EBB_TRY(ebb_sequence_from_config(config, experiment->dataset, &experiment->model));
  experiment->scoring = ebb_scoring(config, experiment->model.loss);
  return build(experiment);
}

EbbStatus ebb_experiment_create(const EbbConfig *config, EbbExperiment **out) {
  return ebb_experiment_create_watched(config, NULL, out);
}

EbbStatus ebb_experiment_create_watched(const EbbConfig *config, const EbbLoading *loading,
                                        EbbExperiment **out) {
  *out = NULL;
  EbbExperiment *experiment = calloc(1, sizeof *experiment);
  if (!experiment) return ebb_fail(EBB_MEMORY, "no memory for an experiment");
  EbbStatus status = open_parts(experiment, config, loading);
  if (status == EBB_OK)
    *out = experiment;
  else
    ebb_experiment_destroy(experiment);
  return status;
}

void ebb_experiment_destroy(EbbExperiment *experiment) {
  if (!experiment) return;
  for (int i = 0; i < experiment->n_recorded; i++) {
    stepper_forget(&experiment->stepper, &experiment->recorded[i]);
    ebb_graph_destroy(experiment->recorded[i].graph);
  }
  free(experiment->recorded);
  stepper_release(&experiment->stepper);
  averages_release(&experiment->averages);
  ebb_workspace_destroy(experiment->workspace);
  ebb_params_destroy(experiment->params);
  ebb_sequence_release(&experiment->model);
  ebb_dataset_destroy(experiment->dataset);
  ebb_device_close(experiment->device);
  ebb_config_destroy(experiment->config);
  free(experiment);
}

const EbbDataset *ebb_experiment_dataset(const EbbExperiment *experiment) { return experiment->dataset; }
EbbParams *ebb_experiment_params(const EbbExperiment *experiment) { return experiment->params; }
EbbDevice *ebb_experiment_device(const EbbExperiment *experiment) { return experiment->device; }
EbbMetricKind ebb_experiment_monitor(const EbbExperiment *experiment) { return experiment->scoring.monitor; }
