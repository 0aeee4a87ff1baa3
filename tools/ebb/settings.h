/* The configuration that a command line describes. */
#ifndef EBB_SETTINGS_H
#define EBB_SETTINGS_H

#include "cli.h"
#include "ebb/config.h"

/* The option --config FILE of commands that take experiment=NAME. */
#define SETTINGS_CONFIG_OPTION                                                                               \
  {                                                                                                          \
    .name = "config", .kind = CLI_TEXT, .value = "FILE",                                                     \
    .help = "read this YAML file, after the experiment if both are given"                                    \
  }

/* The value of experiment=NAME among the settings (the last one), or NULL. */
const char *settings_experiment(const CliArguments *arguments);

/* Defaults, then the experiment, then the file (may be NULL), then the other settings in their order. */
EbbStatus settings_from_experiment(const CliArguments *arguments, const char *file,
                                   EbbConfig **out) EBB_MUST_CHECK;

/* The configuration inside a checkpoint, then the settings. Errors: INVALID where experiment= stands among
   them. */
EbbStatus settings_from_checkpoint(CliArguments *arguments, const char *checkpoint,
                                   EbbConfig **out) EBB_MUST_CHECK;

/* The same from a run folder's config.yaml. */
EbbStatus settings_from_run(CliArguments *arguments, const char *folder, EbbConfig **out) EBB_MUST_CHECK;

#endif
