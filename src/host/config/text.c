/* The configuration as text: YAML that loads back, and the table of keys for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/config/config_row.h"

/* The fewest digits that read back to the same double. */
static void write_number(FILE *out, double number) {
  char text[40];
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, number);
    if (strtod(text, NULL) == number) break;
  }
  (void)fputs(text, out);
}

static void write_quoted(FILE *out, const char *text) {
  (void)fputc('"', out);
  for (const char *c = text; *c; c++) {
    bool control = (unsigned char)*c < 0x20 || *c == 0x7f;
    if (control) {
      fprintf(out, "\\x%02x", (unsigned char)*c);
    } else {
      fprintf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
  }
  (void)fputc('"', out);
}

static void write_choice(FILE *out, const char *choices, int64_t index) {
  for (; index > 0; index--) choices += strcspn(choices, "|") + 1;
  fprintf(out, "%.*s", (int)strcspn(choices, "|"), choices);
}

static void write_list(FILE *out, const EbbConfigValue *value) {
  for (int i = 0; i < value->n_list; i++) fprintf(out, "%s%lld", i ? ", " : "[", (long long)value->list[i]);
  (void)fputs(value->n_list ? "]" : "[]", out);
}

static void write_value(FILE *out, const EbbConfigRow *row, const EbbConfigValue *value) {
  if (value->null) {
    (void)fputs("null", out);
    return;
  }
  switch (row->type) {
  case EBB_CONFIG_FLAG:
    (void)fputs(value->integer ? "true" : "false", out);
    break;
  case EBB_CONFIG_INTEGER:
    fprintf(out, "%lld", (long long)value->integer);
    break;
  case EBB_CONFIG_NUMBER:
    write_number(out, value->number);
    break;
  case EBB_CONFIG_STRING:
    write_quoted(out, value->text);
    break;
  case EBB_CONFIG_CHOICE:
    write_choice(out, row->choices, value->integer);
    break;
  case EBB_CONFIG_INTEGERS:
    write_list(out, value);
    break;
  default:
    break;
  }
}

/* Writes the lines "group:" that `path` opens and `before` has not, and the indented last name. */
static void write_key(FILE *out, const char *path, const char *before) {
  size_t common = 0; /* bytes up to and including the last dot that both share */
  for (size_t i = 0; path[i] && path[i] == before[i]; i++) {
    if (path[i] == '.') common = i + 1;
  }
  int level = 0;
  for (const char *at = path; *at;) {
    size_t length = strcspn(at, ".");
    bool last = at[length] == 0;
    if ((size_t)(at - path) >= common)
      fprintf(out, "%*s%.*s:%s", 2 * level, "", (int)length, at, last ? " " : "\n");
    at += length + !last;
    level++;
  }
}

EbbStatus ebb_config_yaml(const EbbConfig *config, char **text) {
  *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(text, &bytes);
  if (!out) return ebb_fail(EBB_MEMORY, "no memory for the configuration's text");
  const char *before = "";
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    write_key(out, ebb_config_rows[i].path, before);
    write_value(out, &ebb_config_rows[i], &config->values[i]);
    (void)fputc('\n', out);
    before = ebb_config_rows[i].path;
  }
  bool failed = ferror(out) != 0;
  if (fclose(out) == 0 && !failed) return EBB_OK;
  free(*text);
  *text = NULL;
  return ebb_fail(EBB_MEMORY, "no memory for the configuration's text");
}

static void print_range(FILE *out, const EbbConfigRow *row) {
  static const char *const names[] = {
      [EBB_CONFIG_FLAG] = "true|false", [EBB_CONFIG_INTEGER] = "integer", [EBB_CONFIG_NUMBER] = "number",
      [EBB_CONFIG_STRING] = "text",     [EBB_CONFIG_CHOICE] = "",         [EBB_CONFIG_INTEGERS] = "integers",
      [EBB_CONFIG_OFF] = "only null",   [EBB_CONFIG_IGNORED] = "anything"};
  fprintf(out, "%s%s", names[row->type], row->choices);
  bool ranged =
      row->type == EBB_CONFIG_INTEGER || row->type == EBB_CONFIG_NUMBER || row->type == EBB_CONFIG_INTEGERS;
  if (ranged) fprintf(out, " %.10g to %.10g", row->min, row->max);
  if (*row->unit) fprintf(out, " (%s)", row->unit);
}

void ebb_config_help(FILE *out) {
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    const EbbConfigRow *row = &ebb_config_rows[i];
    fprintf(out, "%s=%s\n    %s\n    ", row->path, row->initial, row->help);
    print_range(out, row);
    bool explained = *row->null_means && row->type != EBB_CONFIG_OFF && row->type != EBB_CONFIG_IGNORED;
    if (explained) fprintf(out, "; null: %s", row->null_means);
    (void)fputc('\n', out);
  }
}
