/* ebb plot wiring */
#include <string.h>

#include "cli.h"
#include "ebb/wiring.h"

enum { INPUTS, PICTURE };

static const CliOption options[] = {
    [INPUTS] = {.name = "inputs",
                .kind = CLI_INTEGER,
                .value = "N",
                .initial = "0",
                .max = EBB_WIRING_MAX_INPUTS,
                .help = "sensors, the features of the data; a file says its own number"},
    [PICTURE] = {.name = "output",
                 .letter = 'o',
                 .kind = CLI_TEXT,
                 .value = "PICTURE",
                 .initial = "wiring.png",
                 .help = "a .png or .svg file, or graphviz's .dot; .txt or .safetensors: the wiring itself"},
};

static bool ends_in(const char *path, const char *ending) {
  const char *at = strrchr(path, '.');
  return at && strcmp(at, ending) == 0;
}

static EbbStatus save(const EbbWiring *wiring, const char *path) {
  const bool file = ends_in(path, ".txt") || ends_in(path, ".safetensors");
  return file ? ebb_wiring_write(wiring, path) : ebb_wiring_draw(wiring, path);
}

static EbbStatus run(CliArguments *arguments) {
  const char *picture = arguments->value[PICTURE].text;
  EbbWiring *wiring;
  EBB_TRY(ebb_wiring_from_text(arguments->operand[0], (int)arguments->value[INPUTS].integer, &wiring));
  EbbStatus status = save(wiring, picture);
  ebb_wiring_destroy(wiring);
  EBB_TRY(status);
  puts(picture);
  return EBB_OK;
}

static void explain(FILE *out) {
  (void)fputs("\nwirings, with defaults and ranges of their arguments:\n", out);
  ebb_wiring_help(out);
  (void)fputs("  FILE: a text or .safetensors file; docs/wirings.md describes both\n", out);
}

const CliCommand cli_plot_wiring = {
    .name = "wiring",
    .synopsis = "WIRING --inputs N [-o PICTURE]",
    .summary = "draw a wiring: sensors, inter, command and motor neurons",
    .details = "Draws neurons and synapses through graphviz, or writes the wiring into a file that a "
               "configuration can name, and prints the name of what it made.",
    .examples = "ebb plot wiring 'autoncp(28, 4)' --inputs 6 -o wiring.svg\n"
                "ebb plot wiring 'ncp(inter=[10, 6], command=8, motors=3)' --inputs 6 -o a.txt",
    .options = options,
    .n_options = CLI_COUNT(options),
    .operand = "a WIRING",
    .least = 1,
    .most = 1,
    .explain = explain,
    .run = run,
};
