/* The frame of the program: tables of commands and options that drive parsing and --help alike. */
#ifndef EBB_CLI_H
#define EBB_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ebb/status.h"

enum { CLI_PATH_BYTES = 4096, CLI_WIDTH = 80 };

/* LIST: texts separated by commas; the option may be given again. */
typedef enum CliKind { CLI_FLAG, CLI_TEXT, CLI_INTEGER, CLI_CHOICE, CLI_LIST } CliKind;

typedef struct CliOption {
  const char *name; /* long form, without the dashes */
  char letter;      /* short form, or 0 */
  CliKind kind;
  const char *value;   /* what the value is called; NULL for a flag */
  const char *initial; /* the default as it would be typed; NULL: none */
  int64_t min, max;    /* CLI_INTEGER */
  const char *choices; /* CLI_CHOICE, separated by '|' */
  const char *help;
} CliOption;

typedef struct CliValue {
  bool given, flag;
  const char *text;
  int64_t integer; /* CLI_CHOICE: the index of the choice */
  char **list;     /* CLI_LIST */
  int n_list;
} CliValue;

typedef struct CliCommand CliCommand;

/* A parsed command line. Lifetime: while the command runs. */
typedef struct CliArguments {
  const CliCommand *command;
  const char *path; /* "ebb data listops" */
  CliValue *value;  /* in the order of the command's options */
  const char **operand, **setting;
  int n_operands, n_settings;
  bool wants_help;
  bool misused; /* the sentence in ebb_error() is about the command line */
} CliArguments;

struct CliCommand {
  const char *name;
  const char *synopsis; /* what stands behind the name in the usage line */
  const char *summary;  /* one line of the list of commands */
  const char *details;  /* paragraphs of its own help; may be NULL */
  const char *examples; /* lines; may be NULL */
  const CliOption *options;
  int n_options;
  const char *operand;               /* what an operand is called; NULL: the command has none */
  int least, most;                   /* operands */
  bool settings;                     /* takes KEY=VALUE */
  const CliCommand *const *commands; /* those below this one; without run, a word has to name one */
  int n_commands;
  void (*explain)(FILE *out); /* a last section of its own help; may be NULL */
  EbbStatus (*run)(CliArguments *arguments);
};

#define CLI_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

extern const CliCommand cli_train, cli_eval, cli_info, cli_plot, cli_plot_wiring, cli_verify, cli_data,
    cli_data_pathfinder, cli_data_describe, cli_keys, cli_import, cli_report, cli_lra;

/* Runs the command that the words name, prints what failed and returns the exit status: 0, 1 the work failed,
   2 the command line is wrong, 130 interrupted. path is the command's own name with those above it. */
int cli_dispatch(const CliCommand *command, const char *path, int n_words, char **words);

/* Fills arguments->value, operand and setting, which have room for every option and word. Errors: INVALID. */
EbbStatus cli_parse(CliArguments *arguments, int n_words, char **words) EBB_MUST_CHECK;

/* Records a sentence about the command line. */
EbbStatus cli_misuse(CliArguments *arguments, const char *format, ...) EBB_PRINTF(2, 3);

void cli_help(FILE *out, const CliCommand *command, const char *path);

/* `name` if it is near enough to `wanted` to be what was meant, and nearer than *best; for use over a list.
 */
typedef struct CliNearest {
  const char *wanted, *name;
  int distance;
} CliNearest;
void cli_nearest(CliNearest *nearest, const char *name);

#endif
