/* ebb import: published PyTorch weights become a checkpoint. */
#include <errno.h>
#include <stdlib.h>

#include "cli.h"
#include "ebb/checkpoint.h"
#include "ebb/file.h"
#include "ebb/model.h"
#include "published_data.h"
#include "settings.h"
#include "terminal.h"

enum { CHECKPOINT, CONFIG };

static const CliOption options[] = {
    [CHECKPOINT] = {.name = "output",
                    .letter = 'o',
                    .kind = CLI_TEXT,
                    .value = "CHECKPOINT",
                    .help = "the checkpoint to write; a new file"},
    [CONFIG] = SETTINGS_CONFIG_OPTION,
};

typedef struct Import {
  const char *state_dict, *checkpoint;
  const EbbConfig *config;
  EbbDevice *device;
  EbbParams *params;
  EbbGraph *graph;
  EbbSequence model;
  int liquid_missing;
} Import;

static EbbStatus declare_parameters(Import *job) {
  EbbDataset dataset;
  EbbSequenceValues values;
  if (!published_data(job->config, &dataset))
    return ebb_fail(EBB_UNSUPPORTED,
                    "the sizes of data set '%s' (dataset._name_) are not known, so neither is the model",
                    ebb_config_string(job->config, "dataset._name_"));
  EBB_TRY(ebb_sequence_from_config(job->config, &dataset, &job->model));
  EBB_TRY(ebb_device_open("cpu", (int)ebb_config_integer(job->config, "threads"), &job->device));
  EBB_TRY(ebb_params_create(job->device, &job->params));
  EBB_TRY(ebb_graph_create(job->params, NULL, false, &job->graph));
  EBB_TRY(ebb_sequence_record(job->graph, &job->model, 1, dataset.longest, &values));
  EBB_TRY(ebb_params_place(job->params, (uint64_t)ebb_config_integer(job->config, "train.seed")));
  return ebb_graph_init_params(job->graph);
}

static EbbStatus convert(Import *job) {
  char *yaml = NULL;
  EBB_TRY(declare_parameters(job));
  EBB_TRY(ebb_checkpoint_import(job->state_dict, job->params, &job->liquid_missing));
  EBB_TRY(ebb_config_yaml(job->config, &yaml));
  EbbStatus status = ebb_checkpoint_save(job->checkpoint, job->params, NULL, yaml, NULL, 0);
  free(yaml);
  return status;
}

static void print_result(const Import *job) {
  terminal_field(stdout, "weights", "%s from %s", terminal_count(ebb_params_trained(job->params)).text,
                 job->state_dict);
  if (job->liquid_missing)
    terminal_field(stdout, "liquid", "%d frozen tensors are not in such a file: drawn from train.seed=%lld",
                   job->liquid_missing, (long long)ebb_config_integer(job->config, "train.seed"));
  terminal_field(stdout, "checkpoint", "%s", job->checkpoint);
  terminal_field(stdout, "next", "%s eval %s", program_invocation_name, job->checkpoint);
}

static EbbStatus run(CliArguments *arguments) {
  const CliValue *value = arguments->value;
  Import job = {.state_dict = arguments->operand[0], .checkpoint = value[CHECKPOINT].text};
  if (!job.checkpoint) return cli_misuse(arguments, "ebb import needs -o CHECKPOINT, the file to write");
  if (!settings_experiment(arguments) && !value[CONFIG].text)
    return cli_misuse(arguments, "ebb import needs the model: experiment=NAME or --config FILE");
  if (ebb_file_exists(job.checkpoint))
    return ebb_fail(EBB_INVALID, "'%s' exists already; give the name of a new file", job.checkpoint);
  EbbConfig *config = NULL;
  EBB_TRY(settings_from_experiment(arguments, value[CONFIG].text, &config));
  job.config = config;
  EbbStatus status = convert(&job);
  if (status == EBB_OK) print_result(&job);
  ebb_graph_destroy(job.graph);
  ebb_sequence_release(&job.model);
  ebb_params_destroy(job.params);
  ebb_device_close(job.device);
  ebb_config_destroy(config);
  return status;
}

const CliCommand cli_import = {
    .name = "import",
    .synopsis = "STATE_DICT experiment=NAME [KEY=VALUE...] -o CHECKPOINT",
    .summary = "turn published PyTorch weights into a checkpoint",
    .details = "Reads a state_dict of the published Liquid-S4 code, saved from Python with "
               "safetensors.torch.save_file(), and writes a checkpoint for ebb eval and streaming. The "
               "experiment and its settings describe the model that the weights belong to. The frozen "
               "constants of polyb and kb are not in a state_dict: the published code draws them anew, and "
               "so does ebb.",
    .examples = "ebb import weights.safetensors experiment=lra/s4-lra-listops -o lo.safetensors\n"
                "ebb eval lo.safetensors dataset.data_dir=data/listops",
    .options = options,
    .n_options = CLI_COUNT(options),
    .operand = "one STATE_DICT",
    .least = 1,
    .most = 1,
    .settings = true,
    .run = run,
};
