/* From words to a command, and from its status to an exit status. */
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "host/config/config_row.h"
#include "terminal.h"

enum { EXIT_MISUSED = 2, EXIT_INTERRUPTED = 130, SENTENCE_BYTES = 1024 };

EbbStatus cli_misuse(CliArguments *arguments, const char *format, ...) {
  char sentence[SENTENCE_BYTES];
  va_list list;
  va_start(list, format);
  vsnprintf(sentence, sizeof sentence, format, list);
  va_end(list);
  arguments->misused = true;
  return ebb_fail(EBB_INVALID, "%s", sentence);
}

void cli_nearest(CliNearest *nearest, const char *name) {
  int distance = ebb_name_distance(nearest->wanted, name);
  bool near = distance <= 1 + (int)strlen(name) / 3;
  if (!near || (nearest->name && distance >= nearest->distance)) return;
  nearest->name = name, nearest->distance = distance;
}

static int finish(EbbStatus status, const CliArguments *arguments) {
  bool written = fflush(stdout) == 0 && !ferror(stdout);
  if (status == EBB_OK && written) return EXIT_SUCCESS;
  if (status == EBB_OK) status = ebb_fail(EBB_IO, "the output could not be written in full");
  fprintf(stderr, "%sebb:%s %s\n", terminal_colour(stderr, TERMINAL_RED), terminal_plain(stderr),
          ebb_error());
  if (arguments->misused) fprintf(stderr, "`%s --help` explains it.\n", arguments->path);
  if (arguments->misused) return EXIT_MISUSED;
  return status == EBB_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILURE;
}

static EbbStatus run(CliArguments *arguments, int n_words, char **words) {
  const CliCommand *command = arguments->command;
  arguments->value = calloc((size_t)command->n_options + 1, sizeof *arguments->value);
  arguments->operand = calloc((size_t)n_words + 1, sizeof *arguments->operand);
  arguments->setting = calloc((size_t)n_words + 1, sizeof *arguments->setting);
  if (!arguments->value || !arguments->operand || !arguments->setting)
    return ebb_fail(EBB_MEMORY, "no memory for %d words of the command line", n_words);
  EBB_TRY(cli_parse(arguments, n_words, words));
  if (arguments->wants_help) {
    cli_help(stdout, command, arguments->path);
    return EBB_OK;
  }
  return command->run(arguments);
}

static EbbStatus unknown_command(CliArguments *arguments, const char *word) {
  CliNearest nearest = {.wanted = word};
  for (int i = 0; i < arguments->command->n_commands; i++)
    cli_nearest(&nearest, arguments->command->commands[i]->name);
  const char *what = *word == '-' ? "option" : "command";
  if (!nearest.name) return cli_misuse(arguments, "%s has no %s '%s'", arguments->path, what, word);
  return cli_misuse(arguments, "%s has no %s '%s'; did you mean '%s'?", arguments->path, what, word,
                    nearest.name);
}

/* What a command says that only has others below it. */
static int explain(const CliCommand *command, const char *path, int n_words, char **words) {
  CliArguments arguments = {.command = command, .path = path};
  bool help = n_words > 0 && (!strcmp(words[0], "--help") || !strcmp(words[0], "-h") ||
                              (n_words == 1 && !strcmp(words[0], "help")));
  if (help) {
    cli_help(stdout, command, path);
    return finish(EBB_OK, &arguments);
  }
  if (!n_words) {
    cli_help(stderr, command, path);
    return EXIT_MISUSED;
  }
  return finish(unknown_command(&arguments, words[0]), &arguments);
}

static const CliCommand *command_below(const CliCommand *command, int n_words, char **words) {
  for (int i = 0; n_words && i < command->n_commands; i++)
    if (!strcmp(command->commands[i]->name, words[0])) return command->commands[i];
  return NULL;
}

static void free_values(CliArguments *arguments) {
  for (int i = 0; arguments->value && i < arguments->command->n_options; i++) {
    for (int k = 0; k < arguments->value[i].n_list; k++) free(arguments->value[i].list[k]);
    free((void *)arguments->value[i].list);
  }
  free(arguments->value);
}

int cli_dispatch(const CliCommand *command, const char *path, int n_words, char **words) {
  const CliCommand *below = command_below(command, n_words, words);
  if (below) {
    char longer[64];
    snprintf(longer, sizeof longer, "%s %s", path, below->name);
    return cli_dispatch(below, longer, n_words - 1, words + 1);
  }
  if (!command->run) return explain(command, path, n_words, words);
  CliArguments arguments = {.command = command, .path = path};
  int code = finish(run(&arguments, n_words, words), &arguments);
  free_values(&arguments);
  free((void *)arguments.operand);
  free((void *)arguments.setting);
  return code;
}
