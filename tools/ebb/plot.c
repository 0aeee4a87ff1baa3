/* ebb plot */
#include "cli.h"
#include "ebb/metrics.h"
#include "run_folder.h"

enum { PICTURE };

static const CliOption options[] = {
    [PICTURE] = {.name = "output",
                 .letter = 'o',
                 .kind = CLI_TEXT,
                 .value = "PICTURE",
                 .help = "a .png or .svg file; by default curves.png in the run folder, or here for several "
                         "runs"},
};

static EbbStatus run(CliArguments *arguments) {
  char picture[CLI_PATH_BYTES] = "curves.png";
  const char *wanted = arguments->value[PICTURE].text;
  if (wanted)
    snprintf(picture, sizeof picture, "%s", wanted);
  else if (arguments->n_operands == 1)
    EBB_TRY(run_path(arguments->operand[0], "curves.png", picture));
  EBB_TRY(ebb_plot_runs(arguments->operand, arguments->n_operands, picture));
  puts(picture);
  return EBB_OK;
}

static const CliCommand *const commands[] = {&cli_plot_wiring};

const CliCommand cli_plot = {
    .name = "plot",
    .synopsis = "RUN... [-o PICTURE]\n       ebb plot wiring WIRING --inputs N -o PICTURE",
    .summary = "draw the learning curves of one or several runs, or a wiring",
    .details = "Draws loss and score of the runs over their steps and prints the picture's name.",
    .examples = "ebb plot runs/quickstart-listops-1\n"
                "ebb plot runs/* -o compared.svg",
    .options = options,
    .n_options = CLI_COUNT(options),
    .operand = "at least one RUN folder",
    .least = 1,
    .most = 1000000,
    .commands = commands,
    .n_commands = CLI_COUNT(commands),
    .run = run,
};
