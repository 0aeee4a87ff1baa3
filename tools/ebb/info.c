#include "info.h"

#include <stdlib.h>

#include "cli.h"
#include "run_folder.h"
#include "settings.h"

enum { CONFIG, ALL, SETTINGS };

static const CliOption options[] = {
    [CONFIG] = SETTINGS_CONFIG_OPTION,
    [ALL] = {.name = "all",
             .kind = CLI_FLAG,
             .help = "of a checkpoint: list optimiser state and averages too"},
    [SETTINGS] = {.name = "settings", .kind = CLI_FLAG, .help = "print the resolved configuration instead"},
};

static EbbStatus print_settings(const EbbConfig *config) {
  char *yaml = NULL;
  EBB_TRY(ebb_config_yaml(config, &yaml));
  (void)fputs(yaml, stdout);
  free(yaml);
  return EBB_OK;
}

static EbbStatus run(CliArguments *arguments) {
  const CliValue *value = arguments->value;
  if (arguments->n_operands) {
    if (arguments->n_settings || value[CONFIG].text)
      return cli_misuse(arguments,
                        "a checkpoint has its own configuration; it takes no KEY=VALUE or --config");
    char path[CLI_PATH_BYTES];
    EBB_TRY(run_checkpoint(arguments->operand[0], path));
    return info_checkpoint(path, value[ALL].flag, value[SETTINGS].flag);
  }
  if (!settings_experiment(arguments) && !value[CONFIG].text)
    return cli_misuse(arguments, "ebb info needs experiment=NAME, --config FILE or a CHECKPOINT");
  EbbConfig *config = NULL;
  EBB_TRY(settings_from_experiment(arguments, value[CONFIG].text, &config));
  EbbStatus status = value[SETTINGS].flag ? print_settings(config) : info_model(config);
  ebb_config_destroy(config);
  return status;
}

const CliCommand cli_info = {
    .name = "info",
    .synopsis = "experiment=NAME [KEY=VALUE...] | CHECKPOINT [OPTION...]",
    .summary = "show layers, parameters and memory of an experiment or a checkpoint",
    .details =
        "Of an experiment: the nodes of its graph, parameters by learning-rate group, and the memory that "
        "a training batch takes; no data is read. Of a checkpoint or a run folder: where the run stood, "
        "and its tensors.",
    .examples = "ebb info experiment=lra/s4-lra-listops loader.batch_size=32\n"
                "ebb info runs/quickstart-listops-1",
    .options = options,
    .n_options = CLI_COUNT(options),
    .operand = "a CHECKPOINT",
    .most = 1,
    .settings = true,
    .run = run,
};
