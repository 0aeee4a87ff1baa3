/* ebb keys */
#include "cli.h"
#include "ebb/config.h"

static EbbStatus run(CliArguments *arguments) {
  (void)arguments;
  ebb_config_help(stdout);
  return EBB_OK;
}

const CliCommand cli_keys = {
    .name = "keys",
    .synopsis = "",
    .summary = "list the settings: default, meaning, range",
    .details = "Lists every KEY=DEFAULT that an experiment file or the command line can set, with what it "
               "means and what it takes.",
    .run = run,
};
