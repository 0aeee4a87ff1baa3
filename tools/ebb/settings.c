#include "settings.h"

#include <stdlib.h>
#include <string.h>

#include "ebb/checkpoint.h"
#include "run_folder.h"

static const char experiment_key[] = "experiment=";

static bool names_experiment(const char *setting) {
  return strncmp(setting, experiment_key, sizeof experiment_key - 1) == 0;
}

const char *settings_experiment(const CliArguments *arguments) {
  for (int i = arguments->n_settings - 1; i >= 0; i--)
    if (names_experiment(arguments->setting[i])) return arguments->setting[i] + sizeof experiment_key - 1;
  return NULL;
}

static EbbStatus override(const CliArguments *arguments, EbbConfig *config) {
  for (int i = 0; i < arguments->n_settings; i++)
    if (!names_experiment(arguments->setting[i])) EBB_TRY(ebb_config_override(config, arguments->setting[i]));
  return EBB_OK;
}

/* What a configuration starts from, under its name in errors. */
typedef struct Source {
  const char *experiment, *file, *checkpoint; /* each may be NULL */
} Source;

static EbbStatus load_checkpoint(EbbConfig *config, const char *checkpoint) {
  char *yaml = NULL;
  EBB_TRY(ebb_checkpoint_config(checkpoint, &yaml));
  EbbStatus status = ebb_config_load_text(config, yaml, strlen(yaml), checkpoint);
  free(yaml);
  EBB_TRY(status);
  return ebb_config_override(config,
                             "trainer.limit_val_batches=null"); /* it bounds training, not evaluation */
}

static EbbStatus fill(const CliArguments *arguments, const Source *source, EbbConfig *config) {
  if (source->experiment) EBB_TRY(ebb_config_load_experiment(config, source->experiment));
  if (source->file) EBB_TRY(ebb_config_load_file(config, source->file));
  if (source->checkpoint) EBB_TRY(load_checkpoint(config, source->checkpoint));
  return override(arguments, config);
}

static EbbStatus create(const CliArguments *arguments, const Source *source, EbbConfig **out) {
  EBB_TRY(ebb_config_create(out));
  EbbStatus status = fill(arguments, source, *out);
  if (status == EBB_OK) return EBB_OK;
  ebb_config_destroy(*out);
  *out = NULL;
  return status;
}

EbbStatus settings_from_experiment(const CliArguments *arguments, const char *file, EbbConfig **out) {
  const Source source = {.experiment = settings_experiment(arguments), .file = file};
  return create(arguments, &source, out);
}

static EbbStatus refuse_experiment(CliArguments *arguments, const char *from) {
  const char *experiment = settings_experiment(arguments);
  return experiment ? cli_misuse(arguments,
                                 "experiment=%s cannot be given here: the configuration comes from %s; "
                                 "single settings can be changed",
                                 experiment, from)
                    : EBB_OK;
}

EbbStatus settings_from_checkpoint(CliArguments *arguments, const char *checkpoint, EbbConfig **out) {
  *out = NULL;
  EBB_TRY(refuse_experiment(arguments, checkpoint));
  const Source source = {.checkpoint = checkpoint};
  return create(arguments, &source, out);
}

EbbStatus settings_from_run(CliArguments *arguments, const char *folder, EbbConfig **out) {
  char path[CLI_PATH_BYTES];
  *out = NULL;
  EBB_TRY(refuse_experiment(arguments, folder));
  EBB_TRY(run_path(folder, "config.yaml", path));
  const Source source = {.file = path};
  return create(arguments, &source, out);
}
