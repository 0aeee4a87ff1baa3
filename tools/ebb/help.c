/* --help, from the same tables that parsing uses. */
#include <string.h>

#include "cli.h"

enum { OPTION_COLUMN = 2, TEXT_COLUMN = 24 };

/* Prints words from `column` on, broken before CLI_WIDTH, further lines at `indent`. */
static void wrap(FILE *out, int indent, int column, const char *text) {
  bool first = true;
  while (*text) {
    int length = (int)strcspn(text, " \n");
    if (!first && column + 1 + length >= CLI_WIDTH) {
      fprintf(out, "\n%*s", indent, "");
      column = indent;
    } else if (!first) {
      (void)fputc(' ', out);
      column++;
    }
    fprintf(out, "%.*s", length, text);
    column += length;
    text += length;
    first = false;
    if (*text == ' ') text++;
    if (*text != '\n') continue;
    fprintf(out, "\n%*s", *++text ? indent : 0, "");
    column = indent;
    first = true;
  }
  (void)fputc('\n', out);
}

static void print_entry(FILE *out, int column, const char *head, const char *text) {
  int used = fprintf(out, "%*s%s", column, "", head);
  bool own_line = used + 2 > TEXT_COLUMN;
  fprintf(out, "%s%*s", own_line ? "\n" : "", own_line ? TEXT_COLUMN : TEXT_COLUMN - used, "");
  wrap(out, TEXT_COLUMN, TEXT_COLUMN, text);
}

static void describe(const CliOption *option, char *text, size_t size) {
  int used = snprintf(text, size, "%s", option->help);
  if (option->kind == CLI_INTEGER)
    snprintf(text + used, size - (size_t)used, " (%lld to %lld; default %s)", (long long)option->min,
             (long long)option->max, option->initial);
  else if (option->kind == CLI_CHOICE)
    snprintf(text + used, size - (size_t)used, " (%s; default %s)", option->choices, option->initial);
  else if (option->initial)
    snprintf(text + used, size - (size_t)used, " (default %s)", option->initial);
}

static void print_option(FILE *out, const CliOption *option) {
  char head[64], text[512], letter[8] = "";
  if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
  snprintf(head, sizeof head, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
           option->value ? option->value : "");
  describe(option, text, sizeof text);
  print_entry(out, OPTION_COLUMN, head, text);
}

static void print_section(FILE *out, const char *title, const char *lines) {
  fprintf(out, "\n%s:\n", title);
  while (*lines) {
    size_t length = strcspn(lines, "\n");
    fprintf(out, "  %.*s\n", (int)length, lines);
    lines += length + (lines[length] == '\n');
  }
}

void cli_help(FILE *out, const CliCommand *command, const char *path) {
  static const CliOption help = {.name = "help", .letter = 'h', .help = "print this text"};
  fprintf(out, "usage: %s %s\n\n", path, command->synopsis);
  wrap(out, 0, 0, command->details ? command->details : command->summary);
  if (command->n_commands) fprintf(out, "\ncommands:\n");
  for (int i = 0; i < command->n_commands; i++)
    print_entry(out, 2, command->commands[i]->name, command->commands[i]->summary);
  fprintf(out, "\noptions:\n");
  for (int i = 0; i < command->n_options; i++) print_option(out, &command->options[i]);
  print_option(out, &help);
  if (command->explain) command->explain(out);
  if (command->examples) print_section(out, "examples", command->examples);
}
