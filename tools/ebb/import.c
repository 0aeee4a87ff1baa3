/* ebb import: published PyTorch weights become a checkpoint. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "ebb/checkpoint.h"
#include "ebb/file.h"
#include "ebb/model.h"
#include "ebb/state_dict.h"
#include "published_data.h"
#include "settings.h"
#include "terminal.h"

enum { CHECKPOINT, RENAME, CONFIG };

static const CliOption options[] = {
    [CHECKPOINT] = {.name = "output",
                    .letter = 'o',
                    .kind = CLI_TEXT,
                    .value = "CHECKPOINT",
                    .help = "the checkpoint to write; a new file"},
    [RENAME] = {.name = "rename",
                .kind = CLI_LIST,
                .value = "FROM=TO,...",
                .help = "a module of the file and what it is here, such as fc=decoder; may be given again"},
    [CONFIG] = SETTINGS_CONFIG_OPTION,
};

typedef struct Import {
  const char *state_dict, *checkpoint;
  const CliValue *rename;
  const EbbConfig *config;
  EbbStateDict *dict;
  EbbDevice *device;
  EbbParams *params;
  EbbGraph *graph;
  EbbSequence model;
  int liquid_missing;
} Import;

/* What the model's sizes depend on; of a user's own table only the weights know it. */
static EbbStatus find_sizes(const Import *job, EbbDataset *dataset) {
  const char *name = ebb_config_string(job->config, "dataset._name_");
  if (published_data(job->config, dataset)) return EBB_OK;
  if (strcmp(name, "csv") == 0) return ebb_state_dict_sizes(job->dict, job->config, dataset);
  return ebb_fail(EBB_UNSUPPORTED,
                  "the sizes of data set '%s' (dataset._name_) are not known, so neither is the model; for a "
                  "table of your own give dataset._name_=csv",
                  name);
}

static EbbStatus declare_parameters(Import *job) {
  EbbDataset dataset;
  EbbSequenceValues values;
  EBB_TRY(find_sizes(job, &dataset));
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
  EBB_TRY(ebb_state_dict_open(job->state_dict, (const char *const *)job->rename->list, job->rename->n_list,
                              job->config, &job->dict));
  EBB_TRY(declare_parameters(job));
  EBB_TRY(ebb_state_dict_import(job->dict, &job->model, job->params, &job->liquid_missing));
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
  Import job = {
      .state_dict = arguments->operand[0], .checkpoint = value[CHECKPOINT].text, .rename = &value[RENAME]};
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
  ebb_state_dict_close(job.dict);
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
    .details =
        "Reads a state_dict of PyTorch, saved from Python with safetensors.torch.save_file(), and writes a "
        "checkpoint for ebb eval and streaming. The experiment and its settings describe the model that the "
        "weights belong to. Known are the names of the published Liquid-S4 code, of ncps (LTC, CfC, wired "
        "and "
        "with mixed memory) and of torch.nn.LSTM; other modules are named by --rename. What is not in a "
        "state_dict has to be said: model.layer.implicit=false for an LTC whose parameters do not pass "
        "through softplus, cfc_mode=no_gate, backbone activation, unfolds. A wiring is checked against the "
        "file's masks; "
        "model.layer.wiring=STATE_DICT takes it from there. The frozen constants of polyb and kb are not in "
        "a "
        "state_dict: the published code draws them anew, and so does ebb.",
    .examples = "ebb import weights.safetensors experiment=lra/s4-lra-listops -o lo.safetensors\n"
                "ebb eval lo.safetensors dataset.data_dir=data/listops\n"
                "ebb import ltc.safetensors experiment=quickstart/table dataset.file=rows.csv \\\n"
                "    dataset.labels=state model.layer._name_=ltc model.n_layers=1 \\\n"
                "    model.d_model=12 model.layer.wiring=ltc.safetensors \\\n"
                "    --rename fc=decoder -o ebb.safetensors",
    .options = options,
    .n_options = CLI_COUNT(options),
    .operand = "one STATE_DICT",
    .least = 1,
    .most = 1,
    .settings = true,
    .run = run,
};
