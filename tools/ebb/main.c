/* ebb: trains, evaluates and examines liquid networks. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const CliCommand *const commands[] = {&cli_train, &cli_eval, &cli_report, &cli_plot,   &cli_info,
                                             &cli_data,  &cli_lra,  &cli_import, &cli_verify, &cli_keys};

static const CliOption options[] = {{.name = "version", .help = "print the version"}};

static const CliCommand ebb = {
    .name = "ebb",
    .synopsis = "COMMAND [ARGUMENT...]",
    .summary = "Trains liquid networks.",
    .details = "ebb " EBB_VERSION
               ": trains, evaluates and examines liquid networks. `ebb COMMAND --help` explains a command.",
    .examples = "ebb data listops data/listops --train 4000 --min-length 10 --max-length 100\n"
                "ebb train experiment=quickstart/listops\n"
                "ebb eval runs/quickstart-listops-1",
    .options = options,
    .n_options = CLI_COUNT(options),
    .commands = commands,
    .n_commands = CLI_COUNT(commands),
};

/* A file opened under the number of a closed standard stream would receive that stream's text. Stdout stays
   unwritable, so that lost output is reported. */
static void occupy_closed_streams(void) {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
    if (fcntl(stream, F_GETFD) == -1) (void)!open("/dev/null", O_RDONLY);
}

/* A file that may not grow any more is an error of writing, which says where and what to do. */
static void outlive_limits(void) { (void)signal(SIGXFSZ, SIG_IGN); }

int main(int argc, char **argv) {
  occupy_closed_streams();
  outlive_limits();
  bool version = argc == 2 && !strcmp(argv[1], "--version");
  if (version) return printf("ebb " EBB_VERSION "\n") < 0 || fflush(stdout) != 0;
  return cli_dispatch(&ebb, ebb.name, argc - 1, argv + 1);
}
